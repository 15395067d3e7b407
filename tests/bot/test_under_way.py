"""The end of the bot while people wait for it, and storage that fails while they ask."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import discord
import pytest

from storage.intakes import begin_intake, open_intakes
from storage.schema import Intake
from tests.bot.conftest import Restart, World, answer, words
from tests.bot.made import begun, trained
from tests.bot.test_train import GOOD, agree, stored, train
from tests.storage.disks import read_only


@asynccontextmanager
async def waiting_for_photos(world: World) -> AsyncIterator[asyncio.Task[Any]]:
    """A /train whose photos never arrive."""
    await agree(world, world.ada)
    asked = asyncio.Event()

    async def never(_: discord.Attachment) -> bytes:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    world.bot.services = replace(world.services, fetch=never)
    asking = asyncio.ensure_future(train(world, GOOD))
    await asked.wait()
    yield asking
    await asyncio.wait({asking})


async def test_who_waits_is_told_that_nothing_came_of_it(world: World) -> None:
    async with waiting_for_photos(world) as asking:
        await world.bot.under_way.finish(0.05)
    assert "I had to restart before I was done" in answer(await asking)
    assert await stored(world) == []
    assert await world.active(world.ada) == []


async def test_nothing_begins_once_the_bot_is_about_to_end(world: World) -> None:
    model = await trained(world, world.ada)
    await world.deliver(after=20)
    await world.bot.under_way.finish(0.05)
    asked = await world.ada.slash(world.channel, "imagine", prompt="rex")
    pressed = await world.ada.click(world.channel.history()[-1], label="Share with this server")
    for result in (asked, pressed):
        assert result.ephemeral
        assert "about to restart" in answer(result)
    assert await world.active(world.ada) == []
    async with world.services.database.read() as session:
        assert (await session.get_one(type(model), model.id)).shared_guild_id is None


async def test_what_is_promised_is_not_called_broken_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    held = asyncio.Event()

    async def hold(*_: object) -> None:
        held.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("bot.promising.post_card", hold)
    asking = asyncio.ensure_future(world.ada.slash(world.channel, "imagine", prompt="a tree"))
    await held.wait()
    await world.bot.under_way.finish(0.05)
    assert "restart" not in answer(await asking)
    (job,) = await world.active(world.ada)
    await world.deliver(after=20)
    assert "Next in line" in words(world.channel.last_message), job


async def test_whom_a_killed_bot_left_waiting_is_told_by_the_next_one(world: World, restart: Restart) -> None:
    async with waiting_for_photos(world) as asking:
        await asyncio.sleep(0)
        (waiting,) = await intakes(world)
        asking.cancel()
        for task in list(world.bot.under_way._tasks):
            task.cancel()
        await asyncio.wait({asking})
    async with world.services.database.write() as session:  # a kill would have left it
        begin_intake(session, waiting.interaction_id, waiting.token, waiting.at)
    await restart()
    await world.bot.under_way.tell_who_was_left(world.bot)
    assert "I had to restart before I was done" in words(world.seen_by(world.ada)[-1])
    assert await intakes(world) == []


@pytest.mark.parametrize("case", ["promised", "too late"])
async def test_nobody_is_told_of_what_is_promised_or_long_ago(world: World, case: str) -> None:
    job = await begun(world, world.ada)
    async with world.services.database.write() as session:
        begin_intake(session, job.interaction_id if case == "promised" else 404, "token", world.clock())
    if case == "too late":
        world.clock.advance(15 * 60)
    await world.bot.under_way.tell_who_was_left(world.bot)
    assert not any("PATCH /webhooks" in name for _, name, _ in world.env.backend.transcript)
    assert await intakes(world) == []


async def test_nobody_is_left_waiting_after_an_answer(world: World) -> None:
    await agree(world, world.ada)
    await train(world, GOOD[:2])
    await train(world, GOOD)
    assert len(await world.active(world.ada)) == 1
    assert await intakes(world) == []


async def intakes(world: World) -> list[Intake]:
    async with world.services.database.read() as session:
        return list(await open_intakes(session))


# Storage that fails.


async def test_a_database_that_cannot_be_written_is_said_and_nothing_is_begun(world: World) -> None:
    await agree(world, world.ada)
    async with read_only(world.services.database):
        result = await train(world, GOOD)
    assert "storage is full or cannot be written" in answer(result)
    assert await world.active(world.ada) == []
    await train(world, GOOD)
    assert len(await world.active(world.ada)) == 1


async def test_what_is_there_is_shown_while_nothing_can_be_written(world: World) -> None:
    await trained(world, world.ada)
    async with read_only(world.services.database):
        refused = await world.ada.slash(world.channel, "imagine", prompt="a tree")
        listed = await world.ada.slash(world.channel, "models")
    assert "storage is full or cannot be written" in answer(refused)
    assert "rex" in answer(listed)


async def test_a_blob_store_that_cannot_be_written_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await agree(world, world.ada)

    async def no_space(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(world.services.blobs, "put", no_space)
    assert "storage is full or cannot be written" in answer(await train(world, GOOD))
    assert await world.active(world.ada) == []


@pytest.mark.parametrize("command", ["train", "imagine"])
async def test_the_last_of_the_disk_is_kept_for_what_is_promised(world: World, command: str) -> None:
    await agree(world, world.ada)
    crowded = world.services.settings.model_copy(update={"min_free_gb": 10**9})
    world.bot.services = replace(world.services, settings=crowded)
    if command == "train":
        result = await train(world, GOOD)
    else:
        result = await world.ada.slash(world.channel, "imagine", prompt="a tree")
    assert "My disk is nearly full" in answer(result)
    assert await stored(world) == []
    assert await world.active(world.ada) == []
