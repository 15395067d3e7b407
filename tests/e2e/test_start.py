"""`dreambot bot` and `dreambot worker` as an operator starts them: a settings file, a Redis server over TCP."""

import asyncio
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


async def start(*arguments: str) -> asyncio.subprocess.Process:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DISCORD_", "REDIS_"))}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dreambot", *arguments,
        env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


async def test_bot_starts_with_a_settings_file_and_stops_on_sigterm(
    settings_file: Path, discord_server: DiscordStub
) -> None:
    process = await start("bot", "--env-file", str(settings_file))
    async with asyncio.timeout(START_SECONDS):
        await discord_server.ready.wait()

    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        _, errors = await process.communicate()

    assert process.returncode == 0, errors.decode()
    assert {command["name"] for command in discord_server.commands} >= {"train", "imagine", "models", "cancel"}


async def test_a_refused_token_is_one_line_and_its_own_exit_code(settings_file: Path) -> None:
    settings_file.write_text(settings_file.read_text(encoding="utf-8").replace(GOOD_TOKEN, "wrong"), encoding="utf-8")

    process = await start("bot", "--env-file", str(settings_file))
    async with asyncio.timeout(START_SECONDS):
        output, errors = await process.communicate()

    said = [line for line in (output + errors).decode().splitlines() if "INFO" not in line]
    assert process.returncode == 77
    assert len(said) == 1
    assert "token" in said[0]
    assert "wrong" not in said[0]


async def test_a_missing_token_and_a_wrong_setting_are_named(settings_file: Path) -> None:
    settings_file.write_text("FILES_PORT=many\n", encoding="utf-8")

    process = await start("bot", "--env-file", str(settings_file))
    async with asyncio.timeout(START_SECONDS):
        _, errors = await process.communicate()

    assert process.returncode == 78
    assert "FILES_PORT" in errors.decode()
    assert len(errors.decode().splitlines()) == 1


@pytest.mark.slow
async def test_worker_starts_with_a_settings_file_and_stops_on_sigterm(settings_file: Path, redis_url: str) -> None:
    process = await start("worker", "--env-file", str(settings_file))
    redis = Redis.from_url(redis_url)
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await redis.keys(worker_key("test-worker-*")):
                assert process.returncode is None, (await process.communicate())[1].decode()
                await asyncio.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            await process.communicate()
    finally:
        await redis.aclose()
    assert process.returncode == 0
