"""Take the screenshots of the README and the tour: `make demo` under a terminal of its own, and headless Chromium.

    python -m tools.screenshots --out docs/images                        # those of the README
    python -m tools.screenshots --out docs/images --tour docs/tour.md    # these, every other screen, and the page

The main job plays by itself first (card in progress, result, pictures); then the visitor types `/train`, opens its
form, is shown what would be trained on, and draws a picture.
"""

import argparse
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image, ImageFilter
from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as TookTooLong

CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
VIEWPORT = {"width": 1200, "height": 1000}
TO_THE_TOP = """message => {
    const channel = document.getElementById("channel-timeline");
    channel.scrollTop += message.getBoundingClientRect().top - channel.getBoundingClientRect().top - 60;
}"""
BUSY = """() => document.getElementById("preview-app").getAttribute("aria-busy") !== "false"
    || /…$/.test(document.getElementById("action-status").textContent)"""
"""Whether the page is still being drawn or an action is on its way: what is typed meanwhile, it may throw away."""
ANSWER_SECONDS, SETTLE_SECONDS = 60, 120
PHOTOS = Path("gpu_worker/demo_bundle/photos")
MAIN_JOB_SECONDS = 1800.0


class Playground:
    """`make demo` as a visitor starts it, and what its terminal has printed so far."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process, self.terminal, self.printed = process, terminal, ""

    def wait_for(self, pattern: str, seconds: float) -> re.Match[str]:
        """Read the terminal until it has printed `pattern`; raises TimeoutError."""
        end = time.monotonic() + seconds
        os.set_blocking(self.terminal, False)
        while time.monotonic() < end:
            with suppress(BlockingIOError, OSError):
                self.printed += os.read(self.terminal, 65536).decode(errors="replace")
            if found := re.search(pattern, self.printed):
                return found
            time.sleep(0.1)
        raise TimeoutError(f"{pattern!r} was not printed; the terminal shows:\n{self.printed}")


@contextmanager
def playground(folder: Path) -> Iterator[Playground]:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "bot.playground", "--port", "0", "--folder", str(folder)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    try:
        yield Playground(process, ours)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        os.close(ours)
        os.close(theirs)


class Visitor:
    """Somebody at the page."""

    def __init__(self, page: Page, out: Path) -> None:
        self.page, self.out, self.viewer = page, out, ""

    def settle(self) -> None:
        """Wait until the page has drawn everything and been quiet for a second; raises TimeoutError."""
        quiet, end = 0, time.monotonic() + SETTLE_SECONDS
        while quiet < 5:
            if time.monotonic() > end:
                raise TimeoutError("the page does not come to rest")
            quiet = 0 if self.page.evaluate(BUSY) else quiet + 1
            self.page.wait_for_timeout(200)

    def shoot(self, name: str) -> None:
        self.settle()
        for _ in range(40):
            if self.page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth)"):
                break
            self.page.wait_for_timeout(500)
        path = self.out / f"{name}.png"
        self.page.screenshot(path=path)
        with Image.open(path) as shot:  # 256 colours are enough for a page, and a third of the bytes
            shot.convert("RGB").quantize(256).save(path, optimize=True)

    def to_message(self, text: str) -> None:
        """Scroll the channel until the last message with this text is on top."""
        message = self.page.locator("#channel-timeline").get_by_text(text).last
        message.evaluate(TO_THE_TOP)

    def to_latest(self) -> None:
        """Scroll the channel until the newest message is on top, or all of it at the bottom."""
        self._jump_to_latest()
        self.page.locator("#channel-message-list > :last-child").evaluate(TO_THE_TOP)

    def _jump_to_latest(self) -> None:
        button = self.page.locator("#new-messages")
        if button.is_visible():
            button.click()
            self.settle()

    def begin_command(self, name: str) -> None:
        """Type the command until the page takes it for one: a busy page may draw its composer anew meanwhile."""
        composer, chip = self.page.locator("#channel-composer-input"), self.page.locator(".command-chip")
        for _ in range(10):
            composer.click()
            composer.fill("")
            self.page.keyboard.type(f"/{name}")
            self.page.wait_for_timeout(500)
            self.page.keyboard.press("Enter")
            self.page.wait_for_timeout(2000)
            if chip.is_visible():
                return
        chip.wait_for()

    def fill(self, option: str, value: str) -> None:
        self.page.locator(f"input.command-option-input[data-option='{option}']").fill(value)

    def add_option(self, option: str) -> None:
        self.page.locator(".command-ghost").click(timeout=5000)
        self.page.locator(".command-popup").get_by_text(option, exact=True).first.click()

    def attach(self, option: str, photo: Path) -> None:
        self.add_option(option)
        self.page.locator(f"input.command-file-input[data-option='{option}']").set_input_files(photo)

    def send(self) -> None:
        self.settle()
        self.page.locator("#send-message").click()

    def command(self, name: str, **options: str) -> None:
        """Type a command and send it; the answer is on screen when this returns."""
        self.close_form()
        try:
            before = self._send_command(name, options)
        except TookTooLong:  # the page was drawn anew between a look and a press
            self.begin_anew()
            before = self._send_command(name, options)
        self._wait_for_answer(before)
        self.to_latest()

    def _send_command(self, name: str, options: Mapping[str, str]) -> str:
        """Return what the newest message said before."""
        self.settle()
        self.begin_command(name)
        for option, value in options.items():
            field = self.page.locator(f"input.command-option-input[data-option='{option}']")
            if not field.count():
                self.add_option(option)
            field.fill(value, timeout=5000)
        before = self.newest()
        self.send()
        return before

    def newest(self) -> str:
        """Return the words of the newest message, which the page may hold back while one looks at an older one."""
        self._jump_to_latest()
        last = 'document.querySelector("#channel-message-list").lastElementChild?.innerText ?? ""'
        return str(self.page.evaluate(last))

    def _wait_for_answer(self, before: str) -> None:
        for _ in range(ANSWER_SECONDS):
            self.page.wait_for_timeout(1000)
            if self.newest() != before or self.page.locator("#modal-root form").is_visible():
                break
        self.settle()

    def press(self, label: str) -> None:
        """Press the last button with this label."""
        self.page.locator("#channel-timeline button").get_by_text(label, exact=True).last.click()
        self.page.wait_for_timeout(1000)
        self.settle()

    def choose(self, menu: str, option: str) -> None:
        """Choose in the last menu that shows these words."""
        self.page.locator("#channel-timeline [role=combobox]").filter(has_text=menu).last.click()
        self.page.locator("[role=option]").filter(has_text=option).last.click()
        self.page.wait_for_timeout(1000)
        self.settle()

    def choose_in_form(self, option: str) -> None:
        """Choose in the first menu of the form that is open."""
        self.page.locator("#modal-root [role=combobox]").first.click()
        self.page.locator("[role=option]").filter(has_text=option).last.click()

    def submit(self) -> None:
        self.page.locator("#modal-root button[type=submit]").click()

    def become(self, name: str) -> None:
        """Look with another person's eyes."""
        self.viewer = name
        self.page.locator("#viewer-picker").select_option(label=name)
        self.settle()

    def close_form(self) -> None:
        self.page.keyboard.press("Escape")
        self.page.wait_for_timeout(500)

    def begin_anew(self) -> None:
        self.page.reload()
        self.page.locator("#channel-composer-input").wait_for()
        self.settle()
        if self.viewer:
            self.become(self.viewer)


def visit(playing: Playground, page: Page, out: Path, folder: Path, subject: str) -> None:
    visitor = Visitor(page, out)
    page.goto(playing.wait_for(r"http://127\.0\.0\.1:\d+/#[\w-]+", 60).group(0))
    photos = sorted((PHOTOS / "luna" / "train").iterdir())
    page.locator("#channel-timeline img[alt^='What the model draws']").first.wait_for(timeout=1000 * MAIN_JOB_SECONDS)
    visitor.shoot("card")
    playing.wait_for(r"It is your turn", MAIN_JOB_SECONDS)
    visitor.to_latest()
    visitor.shoot("models")
    visitor.to_message("is ready")
    visitor.shoot("result")
    visitor.begin_anew()
    visitor.begin_command("train")
    visitor.fill("name", "luna")
    visitor.fill("class", "cat")
    for number, photo in enumerate(photos[:3], start=1):
        visitor.attach(f"photo{number}", photo)
    visitor.shoot("train-command")
    visitor.begin_anew()
    visitor.begin_command("train")
    visitor.fill("name", "luna")
    visitor.fill("class", "cat")
    visitor.send()
    page.locator("#modal-root input[type=file]").first.set_input_files([*photos, blurred(photos[2], folder)])
    visitor.shoot("train-form")
    page.locator("#modal-root button[type=submit]").click()
    page.locator("#channel-timeline img[alt*='numbered']").wait_for(timeout=60_000)
    visitor.to_latest()
    visitor.to_message("luna · cat")
    visitor.shoot("contact-sheet")
    visitor.begin_anew()
    visitor.begin_command("imagine")
    visitor.fill("prompt", f"{subject} on the moon")
    visitor.add_option("count")
    visitor.fill("count", "4")
    visitor.send()
    page.wait_for_timeout(15_000)
    visitor.to_latest()
    visitor.shoot("imagine")


def tour(page: Page, out: Path, document: Path) -> None:
    """Go to every stop, and write the page that shows them all."""
    from tools.tour import BEFORE, STOPS, written  # here, because its stops are a visitor's

    visitor = Visitor(page, out)
    for stop in STOPS:
        try:
            stop.go(visitor)
        except TookTooLong:  # the page was drawn anew between a look and a press
            visitor.begin_anew()
            stop.go(visitor)
        visitor.shoot(stop.name)
        print(stop.name, flush=True)
    document.write_text(written(BEFORE, STOPS, out.relative_to(document.parent)), encoding="utf-8")


def blurred(photo: Path, folder: Path) -> Path:
    """Leave a blurred copy of the photo for the visitor to send by mistake."""
    copy = folder / "blurred.jpg"
    with Image.open(photo) as picture:
        picture.filter(ImageFilter.GaussianBlur(5)).save(copy)
    return copy


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--folder", type=Path, default=Path("demo"))
    parser.add_argument("--subject", default="rex")
    parser.add_argument("--tour", type=Path, default=None, help="go on to every screen, and write this page about them")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium is missing: install Debian's package `chromium`.", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    with playground(options.folder) as playing, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport=VIEWPORT)  # type: ignore[arg-type]
        visit(playing, page, options.out, options.folder, options.subject)
        if options.tour is not None:
            tour(page, options.out, options.tour)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
