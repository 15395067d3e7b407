"""The playground's page in a real browser: what a visitor types reaches the bot, and the answer is shown."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from bot.composition import open_house
from bot.loops import running
from bot.playground.__main__ import playground_settings
from bot.playground.processes import redis_server
from bot.playground.world import open_world
from tools.screenshots import CHROMIUM_FLAGS

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: install Debian's package `chromium`"),
]


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield await browser.new_page()
        await browser.close()


async def test_a_visitor_is_answered_again_and_again_while_the_page_moves(page: Page, tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as (redis_url, _):
        async with (
            open_house(playground_settings(tmp_path, tmp_path / "blobs", redis_url)) as house,
            open_world(house.bot, 0) as world,
            running([*house.loops, world.tick]),
        ):
            await page.goto(world.preview.url)
            for _ in range(3):
                await page.locator("#channel-composer-input").click()
                await page.keyboard.type("/models")
                await page.locator(".command-popup").get_by_text("/models").first.wait_for()
                await page.keyboard.press("Enter")
                await page.locator(".command-chip").wait_for()
                await page.locator("#send-message").click()
                await page.locator(".command-chip").wait_for(state="detached")
            await expect(page.get_by_text("Only you can see this")).to_have_count(3)
            await expect(page.get_by_text("TestBot")).to_have_count(0)
