"""`dreambot bot` and `dreambot worker` as an operator starts them: a settings file, a Redis server over TCP."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from storage.contract import worker_key
from tests.e2e.discord_stub import GOOD_TOKEN, DiscordStub, discord_stub

START_SECONDS = 60


@pytest.fixture
async def discord_server() -> AsyncIterator[DiscordStub]:
    async with discord_stub() as stub:
        yield stub


@pytest.fixture
def settings_file(tmp_path: Path, redis_url: str, discord_server: DiscordStub) -> Path:
    path = tmp_path / "dreambot.env"
    path.write_text(
        f"DISCORD_TOKEN={GOOD_TOKEN}\nDISCORD_API_URL={discord_server.url}\nREDIS_URL={redis_url}\nFILES_PORT=0\n"
        f"DATABASE_URL=sqlite+aiosqlite:///{tmp_path / 'dreambot.db'}\nBLOB_URL={tmp_path / 'blobs'}\n"
        f"CACHE_DIR={tmp_path / 'cache'}\nWORKER_NAME=test-worker\nDEVICE=cpu\n",
        encoding="utf-8",
    )
    return path


@contextlib.asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DISCORD_", "REDIS_"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dreambot", *arguments,
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(process: asyncio.subprocess.Process) -> list[str]:
    """Wait for the end; returns what was printed, line by line."""
    async with asyncio.timeout(START_SECONDS):
        output, errors = await process.communicate()
    return (output + errors).decode().splitlines()


async def test_bot_starts_with_a_settings_file_and_stops_on_sigterm(
    settings_file: Path, discord_server: DiscordStub
) -> None:
    async with started("bot", "--env-file", str(settings_file)) as process:
        async with asyncio.timeout(START_SECONDS):
            await discord_server.ready.wait()
        process.send_signal(signal.SIGTERM)
        printed = await ended(process)

    assert process.returncode == 0, printed
    assert {command["name"] for command in discord_server.commands} >= {"train", "imagine", "models", "cancel"}


async def test_a_refused_token_is_one_line_and_its_own_exit_code(settings_file: Path) -> None:
    settings_file.write_text(settings_file.read_text(encoding="utf-8").replace(GOOD_TOKEN, "wrong"), encoding="utf-8")

    async with started("bot", "--env-file", str(settings_file)) as process:
        said = [line for line in await ended(process) if " INFO " not in line]

    assert process.returncode == 77
    assert len(said) == 1, said
    assert "token" in said[0]
    assert "wrong" not in said[0]


async def test_a_second_bot_on_the_same_database_is_refused(settings_file: Path, discord_server: DiscordStub) -> None:
    async with started("bot", "--env-file", str(settings_file)) as first:
        async with asyncio.timeout(START_SECONDS):
            await discord_server.ready.wait()
        async with started("bot", "--env-file", str(settings_file)) as second:
            said = [line for line in await ended(second) if " INFO " not in line]
        assert first.returncode is None

    assert second.returncode == 75
    assert said == ["Another bot runs on the database dreambot.db: stop it first. One bot to a database."]


@pytest.mark.parametrize(("settings", "named"), [("FILES_PORT=many\n", "FILES_PORT"), ("", "DISCORD_TOKEN")])
async def test_a_wrong_or_missing_setting_is_named_in_one_line(settings_file: Path, settings: str, named: str) -> None:
    settings_file.write_text(settings, encoding="utf-8")

    async with started("bot", "--env-file", str(settings_file)) as process:
        said = await ended(process)

    assert process.returncode == 78
    assert len(said) == 1, said
    assert named in said[0]


async def test_a_database_that_cannot_be_written_is_one_line(settings_file: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"not a database at all, but the file that the settings name" * 99)
    text = settings_file.read_text(encoding="utf-8").replace("dreambot.db", "taken")
    settings_file.write_text(text, encoding="utf-8")

    async with started("bot", "--env-file", str(settings_file)) as process:
        said = [line for line in await ended(process) if " INFO " not in line]

    assert process.returncode == 74
    assert len(said) == 1, said
    assert "database" in said[0]


@pytest.mark.slow
async def test_worker_starts_with_a_settings_file_and_stops_on_sigterm(settings_file: Path, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis, started("worker", "--env-file", str(settings_file)) as process:
        async with asyncio.timeout(START_SECONDS):
            while not await redis.keys(worker_key("test-worker-*")):
                assert process.returncode is None, await ended(process)
                await asyncio.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        printed = await ended(process)

    assert process.returncode == 0, printed
