"""One message of a job: never twice, found again, replaced when it has grown old, and no channel in another's way."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import discord
import pytest
from sqlalchemy import update

from bot.cards import post_card
from bot.rendering import render_card
from storage.contract import Failed, FailureReason, Started, Step
from storage.schema import Delivery as Row
from storage.schema import DeliveryKind, DeliveryState, Job
from tests.bot.conftest import Restart, World, words
from tests.bot.made import begun, drawn, trained
from tests.bot.test_delivery import calls, newest_job, row, running, step
from tests.storage.disks import read_only

HOUR = 3600.0


@pytest.fixture(autouse=True)
def one_clock(world: World) -> None:
    """Our clock shows what SimCord's shows, for messages are looked for by time."""
    world.clock.now = datetime(2026, 1, 1, tzinfo=UTC)


async def rewrite(world: World, delivery: Row, **values: object) -> None:
    async with world.services.database.write() as session:
        await session.execute(update(Row).where(Row.id == delivery.id).values(**values))


async def forget_sending(world: World, delivery: Row) -> None:
    """Leave the row as a kill does between sending and noting."""
    unsent = {"state": DeliveryState.PENDING, "message_id": None, "posts": 0, "dirty": True}
    await rewrite(world, delivery, **unsent, tried_at=world.clock(), not_before=world.clock())


def nonces(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list to which every nonce that is sent from now on will be added."""
    sent: list[str] = []
    request = world.bot.http.request

    async def spy(route: Any, **kwargs: Any) -> Any:
        if route.method == "POST":
            form = kwargs.get("form") or []
            body = next((json.loads(part["value"]) for part in form), kwargs.get("json") or {})
            sent.append(body["nonce"])
        return await request(route, **kwargs)

    monkeypatch.setattr(world.bot.http, "request", spy)
    return sent


# Sent once.


async def test_a_send_whose_fate_is_unknown_is_repeated_under_its_nonce(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = nonces(world, monkeypatch)
    job = await begun(world, world.ada)
    await world.deliver(after=20)
    await forget_sending(world, await row(world, job))
    await world.deliver(after=30)
    assert sent == [f"d{(await row(world, job)).id}"] * 2


@pytest.mark.parametrize("kind", [DeliveryKind.CARD, DeliveryKind.RESULT])
async def test_a_send_that_discord_has_forgotten_is_looked_for(
    world: World, restart: Restart, kind: DeliveryKind
) -> None:
    await trained(world, world.ada)
    await world.deliver(after=20)
    job = await newest_job(world)
    before = [message.id for message in world.channel.history()]
    await forget_sending(world, await row(world, job, kind))
    world.clock.advance(HOUR)
    await restart()
    await world.deliver()
    assert [message.id for message in world.channel.history()] == before
    delivery = await row(world, job, kind)
    assert delivery.state is DeliveryState.SENT
    assert delivery.message_id in before
    assert delivery.tried_at is None


async def test_sends_anew_where_it_may_not_look(world: World) -> None:
    assert world.guild.me is not None
    blind = discord.PermissionOverwrite(read_message_history=False)
    world.channel = world.guild.create_text_channel("blind", overwrites={world.guild.me: blind})
    job = await begun(world, world.ada)
    await world.deliver(after=20)
    await forget_sending(world, await row(world, job))
    await world.deliver(after=HOUR)
    assert len(world.channel.history()) == 2
    assert (await row(world, job)).state is DeliveryState.SENT


async def test_a_card_that_its_command_posted_and_could_not_note_is_found(world: World) -> None:
    """The bot is killed after the command's answer and before the row knows of it."""
    job = await begun(world, world.ada)
    channel = world.bot.get_partial_messageable(world.channel.id)
    answer = await channel.send(view=(await render_card(world.services, job.id)).view)
    await world.deliver(after=20)
    await world.apply(Started, job.id, worker="w", steps=400)
    await world.deliver(after=3)
    assert [message.id for message in world.channel.history()] == [answer.id]
    assert "Looking at the photos" in words(world.channel.last_message)


async def test_a_command_that_answers_too_late_takes_its_card_back(world: World) -> None:
    job = await begun(world, world.ada)

    async def slow(card: Any) -> discord.Message:
        await world.deliver(after=20)
        return await world.bot.get_partial_messageable(world.channel.id).send(view=card.view)

    await post_card(world.services, job, slow)
    (card,) = world.channel.history()
    assert (await row(world, job)).message_id == card.id


async def test_a_private_reply_is_shown_though_its_command_died(world: World) -> None:
    asked = await world.ada.slash(world.channel, "imagine", prompt="a tree", private=True)
    (job,) = await world.active(world.ada)
    await rewrite(world, await row(world, job), state=DeliveryState.PENDING, message_id=None, dirty=True)
    await drawn(world, job)
    await world.deliver(after=60)
    assert asked.response is not None
    assert len(asked.response.attachments) == 1
    assert (await row(world, job)).state is DeliveryState.SENT


# Replaced when it cannot be edited.


async def test_an_old_card_makes_way_for_a_new_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job = await running(world)
    (old,) = world.channel.history()
    sent = nonces(world, monkeypatch)
    await step(world, job, 10)
    await world.deliver(after=54 * 60)
    assert [message.id for message in world.channel.history()] == [old.id]
    await step(world, job, 20)
    await world.deliver(after=60)
    assert (await row(world, job)).replaces == old.id
    await world.deliver(after=3)
    (new,) = world.channel.history()
    assert new.id != old.id
    assert "step 20 of 400" in words(new)
    assert sent == [f"d{(await row(world, job)).id}-1"]
    await step(world, job, 30)
    await world.deliver(after=3)
    assert [message.id for message in world.channel.history()] == [new.id]


async def test_a_card_that_discord_lets_nobody_edit_makes_way(world: World) -> None:
    job = await running(world)
    (old,) = world.channel.history()
    await step(world, job, 10)
    world.env.inject_error("PATCH", "/channels/*/messages/*", status=400, code=30046)
    await world.deliver(after=3)
    await world.deliver(after=3)
    (new,) = world.channel.history()
    assert new.id != old.id
    assert "step 10 of 400" in words(new)


async def test_an_archived_thread_is_woken_by_the_end_alone(world: World) -> None:
    await world.ada.slash(world.channel, "imagine", prompt="a tree")
    (job,) = await world.active(world.ada)
    (old,) = world.channel.history()
    world.env.inject_error("PATCH", "/channels/*/messages/*", status=400, code=50083, times=2)
    await world.apply(Started, job.id, worker="w", steps=20)
    await world.deliver(after=3)
    assert not (await row(world, job)).dirty
    await drawn(world, job)
    await world.deliver()
    await world.deliver()
    (new,) = world.channel.history()
    assert new.id != old.id
    assert len(new.attachments) == 1


async def test_files_that_discord_calls_too_large_are_sent_smaller(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.ada.slash(world.channel, "imagine", prompt="a tree")
    (job,) = await world.active(world.ada)
    await drawn(world, job)
    limits: list[int] = []
    show = world.delivery._messages.show

    async def spy(delivery: Row, job: Job, limit: int) -> Any:
        limits.append(limit)
        return await show(delivery, job, limit)

    monkeypatch.setattr(world.delivery._messages, "show", spy)
    world.env.inject_error("PATCH", "/channels/*/messages/*", status=413, code=40005, times=2)
    await world.deliver()
    assert limits == [limits[0], limits[0] // 4, limits[0] // 16]
    assert len(world.channel.history()[-1].attachments) == 1


async def test_what_the_servers_filter_stops_is_not_offered_again(world: World) -> None:
    job = await begun(world, world.ada)
    world.env.inject_error("POST", "/channels/*/messages", status=400, code=200000, times=None)
    await world.deliver(after=20)
    await world.deliver(after=HOUR)
    assert (await row(world, job)).state is DeliveryState.UNDELIVERABLE
    assert calls(world, "POST") == 1


# Channels do not wait for each other, and all wait when Discord refuses us altogether.


async def in_another_channel(world: World, name: str) -> Job:
    here, world.channel = world.channel, world.guild.create_text_channel(name)
    job = await begun(world, world.ben, name="luna")
    world.channel = here
    return job


async def until_shown(world: World, job: Job, look: Callable[[Row], bool]) -> None:
    async with asyncio.timeout(20):
        while not look(await row(world, job)):
            world.delivery.wake()
            await asyncio.sleep(0.02)


def stuck(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Let requests to the first channel hang, as under a long rate limit; returns (one hangs, let them go)."""
    hangs, gate, request = asyncio.Event(), asyncio.Event(), world.bot.http.request

    async def slow(route: Any, **kwargs: Any) -> Any:
        if route.channel_id == world.channel.id and route.method == "POST":
            hangs.set()
            await gate.wait()
        return await request(route, **kwargs)

    monkeypatch.setattr(world.bot.http, "request", slow)
    return hangs, gate


async def test_a_slow_channel_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, gate = stuck(world, monkeypatch)
    slow = await begun(world, world.ada)
    world.clock.advance(20)
    serving = asyncio.ensure_future(world.delivery.run())
    try:
        await hangs.wait()
        quick = await in_another_channel(world, "quick")
        world.clock.advance(20)
        await until_shown(world, quick, lambda delivery: delivery.state is DeliveryState.SENT)
        assert (await row(world, slow)).state is DeliveryState.PENDING
        gate.set()
        await until_shown(world, slow, lambda delivery: delivery.state is DeliveryState.SENT)
    finally:
        serving.cancel()
        await asyncio.wait({serving})


async def test_an_end_in_order_lets_what_is_on_its_way_arrive(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, gate = stuck(world, monkeypatch)
    job = await begun(world, world.ada)
    world.clock.advance(20)
    serving = asyncio.ensure_future(world.delivery.run())
    try:
        await hangs.wait()
        finishing = asyncio.ensure_future(world.delivery.finish(20))
        await asyncio.sleep(0)
        gate.set()
        await finishing
        assert (await row(world, job)).state is DeliveryState.SENT
        await step(world, job, 10)
        await world.deliver(after=60)
        assert (await row(world, job)).dirty  # nothing new was begun
    finally:
        serving.cancel()
        await asyncio.wait({serving})


async def test_a_channel_is_edited_every_three_seconds_by_turns(world: World) -> None:
    jobs = [await begun(world, person, name) for person, name in ((world.ada, "rex"), (world.ben, "luna"))]
    await world.deliver(after=20)
    for job in jobs:
        await world.apply(Started, job.id, worker="w", steps=400)
    before, shown = calls(world, "PATCH"), {job.id: 0 for job in jobs}
    for number in range(24):
        for job in jobs:
            await world.apply(Step, job.id, step=number, steps=400)
        await world.deliver(after=0.5)
    edits = calls(world, "PATCH") - before
    assert 4 <= edits <= 5
    for job in jobs:
        shown[job.id] = (await row(world, job)).revision
        assert (await row(world, job)).updated_at > world.clock() - timedelta(seconds=7)


async def test_an_end_does_not_wait_for_the_channels_turn(world: World) -> None:
    first, second = await running(world), await begun(world, world.ben, "luna")
    await world.deliver(after=20)
    await step(world, first, 10)
    await world.deliver(after=3)
    await world.apply(Failed, second.id, reason=FailureReason.DIVERGED)
    await world.deliver(after=0.5)
    assert "I could not learn **luna**" in words(world.channel.last_message)


async def test_all_wait_when_discord_refuses_us_altogether(world: World) -> None:
    first = await begun(world, world.ada)
    world.env.inject_error("POST", "/channels/*/messages", status=401)
    await world.deliver(after=20)
    second = await in_another_channel(world, "other")
    await rewrite(world, await row(world, second), not_before=world.clock())
    await world.deliver(after=0.5)
    assert {(await row(world, job)).attempts for job in (first, second)} == {0, 1}
    await world.deliver(after=5)
    assert {(await row(world, job)).state for job in (first, second)} == {DeliveryState.SENT}


async def test_nothing_is_sent_that_could_not_be_noted(world: World, caplog: pytest.LogCaptureFixture) -> None:
    job = await begun(world, world.ada)
    async with read_only(world.services.database):
        await world.deliver(after=20)
        assert world.channel.history() == []
        assert "could not be noted" in caplog.text
    await world.deliver(after=300)
    assert (await row(world, job)).state is DeliveryState.SENT
    assert len(world.channel.history()) == 1
