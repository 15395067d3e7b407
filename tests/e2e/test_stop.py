"""SIGTERM while something is under way: the real bot, and a Discord of its own process that can be made to hang.

One photo is a named pipe. Who reads it waits for us, and as that is Discord's only thread, all of Discord does.
"""

import asyncio
import contextlib
import errno
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import pytest
from PIL import Image
from sqlalchemy import select

from bot.consent import ConsentText
from bot.settings import BotSettings
from storage.blobs import Blobs
from storage.database import Database
from storage.people import record_consent
from storage.schema import Draft, Job
from tests.bot.conftest import Clock
from tests.crash import people
from tests.crash.discord_server import TOKEN
from tests.e2e.test_start import ended, started
from tests.waiting import until

OWNER, CHANNEL = 4000, 500
LIMIT_SECONDS = 30

Row = TypeVar("Row", Draft, Job)


@dataclass(frozen=True, kw_only=True)
class Scene:
    folder: Path
    discord: str
    http: aiohttp.ClientSession
    bot: asyncio.subprocess.Process

    async def train(self) -> None:
        photos = [f"{self.discord}/_/photos/{name}.png" for name in ("red", "green", "pipe")]
        interaction = people.train(OWNER, CHANNEL, "rex", "dog", photos, {})
        async with self.http.post(f"{self.discord}/_/interactions", json=interaction) as response:
            assert (await response.json())["heard"] == 1

    async def messages(self) -> list[dict[str, Any]]:
        async with self.http.get(f"{self.discord}/_/messages") as response:
            found: list[dict[str, Any]] = await response.json()
        return found

    async def hang(self) -> int:
        """Wait until Discord reads the pipe; it hangs until what this returns is written to and closed."""
        writer = -1

        async def is_read() -> bool:
            nonlocal writer
            try:
                writer = os.open(self.folder / "photos" / "pipe.png", os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                return False
            return True

        await until(is_read, seconds=60)
        return writer

    async def rows(self, kind: type[Row]) -> list[Row]:
        opening = Database.open(f"sqlite:///{self.folder / 'dreambot.db'}")
        async with await opening as database, database.read() as session:
            return list(await session.scalars(select(kind)))

    def stored(self) -> list[str]:
        return [path.name for path in (self.folder / "blobs").rglob("*") if path.is_file()]


@pytest.fixture
async def scene(tmp_path: Path, redis_url: str) -> AsyncIterator[Scene]:
    (tmp_path / "photos").mkdir()
    for colour in ("red", "green", "blue"):
        Image.new("RGB", (160, 128), colour).save(tmp_path / "photos" / f"{colour}.png")
    os.mkfifo(tmp_path / "photos" / "pipe.png")
    settings = BotSettings(_env_file=None)
    async with await Database.open(f"sqlite:///{tmp_path / 'dreambot.db'}") as database:
        words = ConsentText.of(settings)
        async with database.write() as session:
            await record_consent(session, OWNER, words.version, words.digest, 1, Clock()())
    async with discord_process(tmp_path) as url, aiohttp.ClientSession() as http:
        env_file = tmp_path / "dreambot.env"
        env_file.write_text(
            f"DISCORD_TOKEN={TOKEN}\nDISCORD_API_URL={url}\nREDIS_URL={redis_url}\nFILES_PORT=0\n"
            f"DATABASE_URL=sqlite+aiosqlite:///{tmp_path / 'dreambot.db'}\nBLOB_URL={tmp_path / 'blobs'}\n",
            encoding="utf-8",
        )
        async with started("bot", "--env-file", str(env_file)) as bot:
            scene = Scene(folder=tmp_path, discord=url, http=http, bot=bot)

            async def listens() -> bool:
                async with http.get(f"{url}/_/listeners") as response:
                    return bool((await response.json())["count"])

            await until(listens, seconds=60)
            yield scene


@contextlib.asynccontextmanager
async def discord_process(folder: Path) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.crash.discord_server", str(folder / "discord.log"), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}"
    finally:
        process.kill()
        await process.wait()


@pytest.mark.slow
async def test_a_bot_that_discord_keeps_waiting_ends_in_time_and_leaves_nothing_half_done(scene: Scene) -> None:
    await scene.train()
    writer = await scene.hang()
    begun = time.monotonic()
    scene.bot.send_signal(signal.SIGTERM)
    try:
        printed = await ended(scene.bot)
    finally:
        os.close(writer)
    assert time.monotonic() - begun < LIMIT_SECONDS
    assert scene.bot.returncode == 0, printed
    assert scene.stored() == []
    assert await scene.rows(Job) == []
    assert await scene.rows(Draft) == []


async def test_photos_that_are_on_their_way_are_still_taken_in_and_shown(scene: Scene) -> None:
    await scene.train()
    writer = await scene.hang()
    scene.bot.send_signal(signal.SIGTERM)
    os.write(writer, (scene.folder / "photos" / "blue.png").read_bytes())
    os.close(writer)
    printed = await ended(scene.bot)
    assert scene.bot.returncode == 0, printed
    (draft,) = await scene.rows(Draft)
    assert len(await Blobs.open(str(scene.folder / "blobs")).list(f"photos/{draft.id}")) == 3
    (card,) = await scene.messages()
    assert card["showed"]
    assert f"draft:{draft.id}:train" in str(card["components"])


async def test_a_bot_that_waits_to_log_in_ends_at_once(tmp_path: Path, redis_url: str) -> None:
    called = asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        called.set()
        await reader.read()  # until the other side is gone
        writer.close()

    server = await asyncio.start_server(never_answer, "127.0.0.1")
    env_file = tmp_path / "dreambot.env"
    env_file.write_text(
        f"DISCORD_TOKEN={TOKEN}\nDISCORD_API_URL=http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n"
        f"REDIS_URL={redis_url}\nFILES_PORT=0\nBLOB_URL={tmp_path / 'blobs'}\n"
        f"DATABASE_URL=sqlite+aiosqlite:///{tmp_path / 'dreambot.db'}\n",
        encoding="utf-8",
    )
    async with started("bot", "--env-file", str(env_file)) as bot:
        async with asyncio.timeout(60):
            await called.wait()
        begun = time.monotonic()
        bot.send_signal(signal.SIGTERM)
        printed = await ended(bot)
    server.close()
    await server.wait_closed()
    assert bot.returncode == 0, printed
    assert time.monotonic() - begun < LIMIT_SECONDS
