"""The Discord of the crash harness keeps to what Discord itself says of nonces, and fails as it is told."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.crash import discord_server
from tests.crash.discord_server import application

Client = TestClient[web.Request, web.Application]
WHERE = "/channels/1/messages"


@pytest.fixture
async def discord(tmp_path: Path) -> AsyncIterator[Client]:
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        async with TestClient(TestServer(application(log, tmp_path))) as client:
            yield client


async def post(discord: Client, where: str = WHERE, *, nonce: str | None = "d1") -> str:
    body = {"content": "hello", "nonce": nonce, "enforce_nonce": nonce is not None}
    async with discord.post(where, json=body) as response:
        message: dict[str, str] = await response.json()
    return message["id"]


async def count(discord: Client) -> int:
    async with discord.get(WHERE) as response:
        return len(await response.json())


async def test_a_nonce_makes_one_message_in_a_channel_for_some_minutes(
    discord: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await post(discord)
    assert await post(discord) == first
    assert await post(discord, "/channels/2/messages") != first
    assert await post(discord, nonce=None) != first
    monkeypatch.setattr(discord_server, "NONCE_SECONDS", 0.0)
    assert await post(discord) != first


async def test_it_fails_on_command(discord: Client) -> None:
    for kind in ("503", "429", "drop", "drop_after"):
        await discord.post("/_/trouble", json={"kind": kind, "count": 1})
    async with discord.post(WHERE, json={"content": "x"}) as refused, discord.post(WHERE, json={}) as limited:
        assert (refused.status, limited.status) == (503, 429)
        assert (await limited.json())["retry_after"] > 0
    with pytest.raises(aiohttp.ClientError):
        await post(discord)
    assert await count(discord) == 0
    with pytest.raises(aiohttp.ClientError):
        await post(discord, nonce="d2")
    assert await count(discord) == 1
    await post(discord, nonce="d2")
    assert await count(discord) == 1
