"""The stops of the tour: how a visitor gets to each screen, and what `docs/tour.md` says about it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.screenshots import Visitor

ADA, BEN, MODERATOR = "Ada", "Ben", "Mo (moderator)"
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Stop:
    name: str
    """Of the picture's file."""
    title: str
    words: str
    go: Callable[[Visitor], None]


def wait_for_pictures(visitor: Visitor, before: str) -> None:
    """Wait until another message than `before` shows what was drawn, however busy the machine is."""
    for _ in range(PATIENCE_SECONDS):
        words = visitor.newest()
        if words != before and "AI-made" in words:
            break
        visitor.page.wait_for_timeout(1000)
    visitor.page.wait_for_timeout(1500)
    visitor.to_latest()


def newcomer(visitor: Visitor) -> None:
    visitor.become(BEN)
    visitor.command("help")
    visitor.to_message("Let's teach me")


def owner(visitor: Visitor) -> None:
    visitor.become(ADA)
    visitor.command("help")
    visitor.to_message("Draw rex anywhere")


def card(visitor: Visitor) -> None:
    before = visitor.newest()
    visitor.command("imagine", prompt="rex on the moon", seed="7")
    wait_for_pictures(visitor, before)


def part(visitor: Visitor) -> None:
    visitor.close_form()
    visitor.press("Draw a part anew")


def part_drawn(visitor: Visitor) -> None:
    before = visitor.newest()
    visitor.choose_in_form("The lower half")
    visitor.submit()
    wait_for_pictures(visitor, before)


def around(visitor: Visitor) -> None:
    before = visitor.newest()
    visitor.press("More around it")
    visitor.choose_in_form("16:9")
    visitor.submit()
    wait_for_pictures(visitor, before)


def template(visitor: Visitor) -> None:
    visitor.close_form()
    before = visitor.newest()
    visitor.command("imagine", prompt="rex {at the beach|in the forest|in the snow|in space}", count="4")
    wait_for_pictures(visitor, before)


def details(visitor: Visitor) -> None:
    visitor.press("Details")
    visitor.to_latest()


def edit(visitor: Visitor) -> None:
    visitor.press("Edit prompt")


def report(visitor: Visitor) -> None:
    visitor.close_form()
    visitor.press("Report")


def styles(visitor: Visitor) -> None:
    visitor.command("styles")


def avatars(visitor: Visitor) -> None:
    before = visitor.newest()
    visitor.command("imagine", prompt="rex", look="avatars")
    wait_for_pictures(visitor, before)


def story_form(visitor: Visitor) -> None:
    visitor.command("storybook", model="rex")
    fields = visitor.page.locator("#modal-root input, #modal-root textarea")
    fields.nth(0).fill("Rex goes out")
    scenes = [
        "rex in a room",
        "rex in the city",
        "rex at the beach",
        "rex in the forest",
        "rex in space",
        "rex on the moon",
    ]
    fields.nth(1).fill("\n".join(scenes))


def story(visitor: Visitor) -> None:
    before = visitor.newest()
    visitor.submit()
    wait_for_pictures(visitor, before)
    for _ in range(3):  # what is told of the last picture may turn the card back
        visitor.press("Next")
        if visitor.page.get_by_text("Page 2 of 6").count():
            break
    visitor.to_message("Rex goes out")


def offer(visitor: Visitor) -> None:
    visitor.command("dataset", model="rex", count="8")


def data_set(visitor: Visitor) -> None:
    before = visitor.newest()
    visitor.press("Draw them")
    wait_for_pictures(visitor, before)


def gallery(visitor: Visitor) -> None:
    visitor.command("models")


def model(visitor: Visitor) -> None:
    visitor.choose("Open a model", "rex")
    visitor.to_message("rex · dog")


def deletion(visitor: Visitor) -> None:
    visitor.press("Delete")
    visitor.to_message("Delete rex?")


def taken_back(visitor: Visitor) -> None:
    visitor.press("Delete, and let me undo it for a day")
    visitor.to_latest()


def gift(visitor: Visitor) -> None:
    visitor.choose("Take back what you deleted", "rex")
    visitor.press("Give away")
    visitor.to_latest()


def jobs(visitor: Visitor) -> None:
    visitor.command("jobs")


def usage(visitor: Visitor) -> None:
    visitor.command("usage")


def settings(visitor: Visitor) -> None:
    visitor.command("settings")


def defaults(visitor: Visitor) -> None:
    visitor.press("Choose")


def privacy(visitor: Visitor) -> None:
    visitor.command("privacy")


def all_gone(visitor: Visitor) -> None:
    visitor.press("Delete everything")
    visitor.to_latest()


def status(visitor: Visitor) -> None:
    visitor.close_form()
    visitor.become(MODERATOR)
    visitor.command("admin status")


def statistics(visitor: Visitor) -> None:
    visitor.command("admin statistics")


STOPS: Sequence[Stop] = (
    Stop("help-newcomer", "Hello", "`/help` begins where you stand: first with how to take photos.", newcomer),
    Stop(
        "help-owner", "What next", "Whoever has a model is told what to do with it; the commands can be clicked.", owner
    ),
    Stop(
        "picture",
        "A picture",
        "`/imagine` finds the model's name in the prompt. The buttons work for as long as the card stands.",
        card,
    ),
    Stop("details", "How it was made", "Prompt, seed, steps and where it came from, for whoever asks.", details),
    Stop(
        "edit", "Change a word", "The form begins with what was asked for; the same seed keeps the composition.", edit
    ),
    Stop("report", "Something is wrong", "Anybody can tell those who run the bot.", report),
    Stop("part", "Change a part", "A region by its name, or what was painted on a copy of the picture.", part),
    Stop("part-drawn", "The rest stays", "Everything outside of the part is pixel for pixel what it was.", part_drawn),
    Stop("around", "More around it", "The picture goes on to the left and right; the subject stays as it is.", around),
    Stop(
        "template", "Four at once, each different", "Braces in a prompt take something else for each picture.", template
    ),
    Stop("styles", "Looks", "`/styles` shows each with a picture; a server adds its own.", styles),
    Stop("avatars", "Avatars", "Some looks are a set: eight pictures, drawn and shown together.", avatars),
    Stop("story-form", "A story", "`/storybook` takes its scenes line by line.", story_form),
    Stop("story", "Page by page", "The same subject on every page; as a book it is a PDF.", story),
    Stop("dataset-offer", "Data to train with", "`/dataset` says what it takes before it begins.", offer),
    Stop("dataset", "As many as you like", "Weak ones and doubles are left out of the zip.", data_set),
    Stop("models", "Models", "Your own, the server's, those shared with you: in the order you like.", gallery),
    Stop("model", "One model", "Samples, how it does, how it is used, and all that its owner may do.", model),
    Stop("delete", "Second thoughts", "A deletion is asked about, and can be undone for a day.", deletion),
    Stop("undo", "Taken back", "What was deleted waits at the end of the list.", taken_back),
    Stop("gift", "A gift", "A model can change hands; the other person has to say yes.", gift),
    Stop("jobs", "Jobs", "What you asked for in the last days, and where it stands.", jobs),
    Stop(
        "usage",
        "What it takes",
        "What is used, what is left, and what it costs where the operator named a price.",
        usage,
    ),
    Stop("settings", "Settings", "What `/imagine` takes by itself, and whether I may write to you.", settings),
    Stop("defaults", "Your usual", "Set once, and overruled by any option.", defaults),
    Stop("privacy", "What I keep", "Counted, handed over as a file, or deleted.", privacy),
    Stop("forget", "To begin anew", "Everything goes, and this cannot be undone.", all_gone),
    Stop("status", "How it stands", "For those who run the bot: what waits, and what each worker does.", status),
    Stop(
        "statistics",
        "What it was used for",
        "Pictures, trainings, people, seconds and failures, day by day.",
        statistics,
    ),
)


BEFORE = (
    ("train-command", "Teach me something", "`/train` takes photos with the command, or opens a form without."),
    ("train-form", "The form", "Photos, what they show, how much time to take, and your consent."),
    ("contact-sheet", "What I see in them", "What will be trained on, what would be better, and what it will take."),
    ("card", "Learning", "One card, from the queue to the end; the samples show how far it is."),
    ("result", "Learned", "The likeness in a line, and what comes next."),
)
"""Of the README's pictures: name, title and words."""


def written(before: Sequence[tuple[str, str, str]], stops: Sequence[Stop], pictures: Path) -> str:
    """Write the page."""
    lines = [
        "# A tour",
        "",
        "Every screen, as `make tour` finds it: the real bot in the playground's simulated Discord, with the demo "
        "base, 64 pixels a side, on a CPU.",
    ]
    for name, title, words in [*before, *((stop.name, stop.title, stop.words) for stop in stops)]:
        lines += ["", f"## {title}", "", words, "", f"![{title}]({pictures.as_posix()}/{name}.png)"]
    return "\n".join(lines) + "\n"
