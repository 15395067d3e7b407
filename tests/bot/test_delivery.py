"""Rows -> messages: cards that live in place, one result that mentions one person, and Discord on a bad day."""

import io
import json
from typing import Any

import aiohttp
import discord
import pytest
from PIL import Image
from sqlalchemy import select

from bot.delivery import MAX_REFUSALS
from storage.contract import Failed, FailureReason, Sample, Stage, Started, Step, sample_key
from storage.jobs import find_job
from storage.schema import Delivery as Row
from storage.schema import DeliveryKind, DeliveryState, Job
from storage.schema import Image as PictureRow
from tests.bot.conftest import Restart, World, words
from tests.bot.made import begun, drawn, png, trained


async def row(world: World, job: Job, kind: DeliveryKind = DeliveryKind.CARD) -> Row:
    async with world.services.database.read() as session:
        return (await session.scalars(select(Row).where(Row.job_id == job.id, Row.kind == kind))).one()


async def running(world: World, steps: int = 400) -> Job:
    """A training under way whose card stands in the channel."""
    job = await begun(world, world.ada)
    await world.deliver(after=20)
    await world.apply(Started, job.id, worker="w", steps=steps)
    await world.deliver(after=3)
    return job


async def step(world: World, job: Job, number: int, loss: float = 0.2, **fields: Any) -> None:
    await world.apply(Step, job.id, step=number, steps=400, loss=loss, **fields)


def calls(world: World, method: str) -> int:
    """How many requests of this kind went to the channel's messages."""
    path = f"{method} /channels/{world.channel.id}/messages"
    return sum(kind == "HTTP" and name.startswith(path) for kind, name, _ in world.env.backend.transcript)


# The card.


async def test_waits_for_the_command_to_post_the_card(world: World) -> None:
    await begun(world, world.ada)
    await world.deliver(after=10)
    assert world.channel.history() == []
    await world.deliver(after=10)
    assert "Next in line" in words(world.channel.last_message)
    await world.deliver(after=60)
    assert len(world.channel.history()) == 1


async def test_the_card_lives_in_place(world: World) -> None:
    job = await running(world)
    await world.apply(Step, job.id, stage=Stage.PREPARING, step=0, steps=400)
    await world.deliver(after=3)
    assert "Looking at the photos" in words(world.channel.last_message)
    for number in range(0, 201, 20):
        await step(world, job, number, loss=0.5 - number / 500, seconds_left=90)
    await world.deliver(after=3)
    said = words(world.channel.last_message)
    assert "▰▰▰▰▰▰▰▰▰▰▱▱▱▱▱▱▱▱▱▱ step 200 of 400 · about 2 min left" in said
    assert "loss █" in said
    assert "▁ 0.1" in said
    assert len(world.channel.history()) == 1


async def test_shows_the_newest_sample_enlarged(world: World) -> None:
    job = await running(world)
    for number in (100, 200):
        key = sample_key(job.id, 1, f"step-{number}")
        await world.services.blobs.put(key, png(number))
        await world.apply(Sample, job.id, step=number, key=key)
    await step(world, job, 200)
    await world.deliver(after=3)
    card = world.channel.history()[-1]
    (attachment,) = card.attachments
    with Image.open(io.BytesIO(await attachment.read())) as picture:
        assert picture.size == (512, 512)
    assert "What the model draws at step 200" in words(card)


async def test_edits_no_faster_than_every_three_seconds(world: World) -> None:
    job = await running(world)
    before = calls(world, "PATCH")
    for number in range(30):
        await step(world, job, number)
        await world.deliver(after=0.5)
    assert 4 <= calls(world, "PATCH") - before <= 6


async def test_the_last_state_wins(world: World) -> None:
    job = await running(world)
    await step(world, job, 10)
    await step(world, job, 20)
    before = calls(world, "PATCH")
    await world.deliver(after=3)
    assert calls(world, "PATCH") - before == 1
    assert "step 20 of 400" in words(world.channel.last_message)
    await world.deliver(after=10)
    assert calls(world, "PATCH") - before == 1


async def test_shows_the_end_at_once(world: World) -> None:
    job = await running(world)
    await step(world, job, 10)
    await world.deliver(after=3)
    await world.apply(Failed, job.id, reason=FailureReason.DIVERGED)
    await world.deliver()
    card, result = world.channel.history()
    assert "It did not work out. Training ran out of hand twice" in words(card)
    assert "Cancel" not in words(card)
    assert "I could not learn **rex**" in words(result)
    assert world.pinged(result) == {world.ada.id}


# The result.


async def test_the_result_mentions_the_owner_alone(world: World) -> None:
    await trained(world, world.ada)
    await world.deliver(after=20)
    card, result = world.channel.history()
    assert "Learned in 2 min." in words(card)
    assert world.pinged(card) == set()
    assert world.pinged(result) == {world.ada.id}
    said = words(result)
    assert "**rex** is ready" in said
    assert "Score 0.83: a very good likeness." in said
    assert '`/imagine prompt:"rex on the moon"`' in said
    assert [button for button in ("Imagine", "Download", "Share with this server") if button in said.split("\n")] == [
        "Imagine", "Download", "Share with this server"
    ]  # fmt: skip
    assert len(result.attachments) == 1
    await world.deliver(after=60)
    assert len(world.channel.history()) == 2


async def test_the_share_button_is_the_owners(world: World, restart: Restart) -> None:
    model = await trained(world, world.ada)
    await world.deliver(after=20)
    await restart()
    result = world.channel.history()[-1]
    refused = await world.ben.click(result, label="Share with this server")
    assert refused.ephemeral
    done = await world.ada.click(result, label="Share with this server")
    assert "Everybody here can now draw with **rex**" in words(done.response)
    async with world.services.database.read() as session:
        assert (await session.get_one(type(model), model.id)).shared_guild_id == world.guild.id


async def test_the_result_has_a_nonce(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await trained(world, world.ada)
    posts: list[dict[str, Any]] = []
    request = world.bot.http.request

    async def spy(route: Any, **kwargs: Any) -> Any:
        if route.method == "POST":
            form = kwargs.get("form") or []
            posts.append(next((json.loads(part["value"]) for part in form), kwargs.get("json") or {}))
        return await request(route, **kwargs)

    monkeypatch.setattr(world.bot.http, "request", spy)
    await world.deliver(after=20)
    job = await newest_job(world)
    nonces = [f"d{(await row(world, job, kind)).id}" for kind in (DeliveryKind.CARD, DeliveryKind.RESULT)]
    assert [post["nonce"] for post in posts] == nonces
    assert all(post["enforce_nonce"] for post in posts)


async def newest_job(world: World) -> Job:
    async with world.services.database.read() as session:
        return (await session.scalars(select(Job).order_by(Job.created_at.desc()).limit(1))).one()


async def test_the_imagine_card_becomes_its_pictures(world: World) -> None:
    await world.ada.slash(world.channel, "imagine", prompt="a tree", count=2)
    (job,) = await world.active(world.ada)
    await drawn(world, job)
    await world.deliver()
    (card,) = world.channel.history()
    assert len(card.attachments) == 2
    assert world.pinged(card) == set()


async def test_a_large_picture_is_re_encoded(world: World) -> None:
    await world.ada.slash(world.channel, "imagine", prompt="noise")
    (job,) = await world.active(world.ada)
    coloured = Image.merge("RGB", [Image.effect_noise((2040, 2040), 120) for _ in range(3)])
    packed = io.BytesIO()
    coloured.save(packed, "PNG")
    assert len(packed.getvalue()) > 10 * 2**20
    await drawn(world, job)
    async with world.services.database.read() as session:
        key = (await session.scalars(select(PictureRow.key).where(PictureRow.job_id == job.id))).one()
    await world.services.blobs.put(key, packed.getvalue())
    await world.deliver()
    (attachment,) = world.channel.history()[-1].attachments
    assert attachment.size <= 10 * 2**20
    assert attachment.filename.endswith(".jpg")
    with Image.open(io.BytesIO(await attachment.read())) as picture:
        assert picture.size == (2040, 2040)


# Private replies.


async def test_edits_a_private_reply_by_its_token(world: World) -> None:
    asked = await world.ada.slash(world.channel, "imagine", prompt="a tree", private=True)
    assert asked.ephemeral
    (job,) = await world.active(world.ada)
    await drawn(world, job)
    await world.deliver(after=60)
    assert asked.response is not None
    assert len(asked.response.attachments) == 1
    assert world.seen_by(world.ben) == []
    assert (await row(world, job)).webhook_token is None


async def test_gives_up_a_private_reply_after_fifteen_minutes(world: World) -> None:
    asked = await world.ada.slash(world.channel, "imagine", prompt="a tree", private=True)
    (job,) = await world.active(world.ada)
    await drawn(world, job)
    await world.env.advance_time(905)
    await world.deliver(after=905)
    delivery = await row(world, job)
    assert delivery.state is DeliveryState.UNDELIVERABLE
    assert delivery.webhook_token is None
    assert asked.response is not None
    assert world.seen_by(world.ben) == []


# Discord on a bad day.


@pytest.mark.parametrize("status", [500, 502, 503, 429])
async def test_tries_again_after_an_outage(world: World, status: int) -> None:
    job = await begun(world, world.ada)
    world.env.inject_error("POST", "/channels/*/messages", status=status, times=2)
    await world.deliver(after=20)
    delivery = await row(world, job)
    assert delivery.attempts == 1
    assert delivery.not_before > world.clock()
    await world.deliver(after=2)
    await world.deliver(after=4)
    assert len(world.channel.history()) == 1
    assert (await row(world, job)).state is DeliveryState.SENT


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(104, "reset"),
        aiohttp.ServerDisconnectedError(),
        TimeoutError(),
        discord.RateLimited(retry_after=1.5),
    ],
)
async def test_tries_again_after_a_lost_connection(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    job = await begun(world, world.ada)
    request, failures = world.bot.http.request, [error]

    async def flaky(route: Any, **kwargs: Any) -> Any:
        if failures:
            raise failures.pop()
        return await request(route, **kwargs)

    monkeypatch.setattr(world.bot.http, "request", flaky)
    await world.deliver(after=20)
    assert (await row(world, job)).state is DeliveryState.PENDING
    await world.deliver(after=2)
    assert (await row(world, job)).state is DeliveryState.SENT


async def test_gives_up_what_discord_calls_wrong_every_time(world: World) -> None:
    job = await begun(world, world.ada)
    world.env.inject_error("POST", "/channels/*/messages", status=400, code=50035, times=None)
    for _ in range(MAX_REFUSALS):
        assert (await row(world, job)).state is DeliveryState.PENDING
        await world.deliver(after=300)
    assert (await row(world, job)).state is DeliveryState.UNDELIVERABLE


async def test_gives_up_a_closed_channel(world: World) -> None:
    closed = discord.PermissionOverwrite(send_messages=False)
    assert world.guild.me is not None
    world.channel = world.guild.create_text_channel("closed", overwrites={world.guild.me: closed})
    job = await begun(world, world.ada)
    await world.deliver(after=20)
    assert (await row(world, job)).state is DeliveryState.UNDELIVERABLE
    before = calls(world, "POST")
    await world.deliver(after=600)
    assert calls(world, "POST") == before


async def test_a_deleted_card_does_not_hold_up_the_result(world: World) -> None:
    job = await running(world)
    await world.channel.history()[0].delete()
    await world.apply(Failed, job.id, reason=FailureReason.OUT_OF_MEMORY)
    await world.deliver()
    assert (await row(world, job)).state is DeliveryState.UNDELIVERABLE
    (result,) = world.channel.history()
    assert "I could not learn **rex**" in words(result)


async def test_one_bad_message_does_not_hold_up_another(world: World, caplog: pytest.LogCaptureFixture) -> None:
    bad, good = await begun(world, world.ada), await begun(world, world.ben, name="luna")
    async with world.services.database.write() as session:
        found = await find_job(session, bad.id)
        assert found is not None
        found.request = {}
    await world.deliver(after=20)
    (card,) = world.channel.history()
    assert "luna" in words(card)
    assert bad.id in caplog.text
    assert (await row(world, bad)).attempts == 1
    assert (await row(world, good)).state is DeliveryState.SENT


async def test_leaves_out_a_picture_that_is_gone(world: World) -> None:
    job = await running(world)
    await world.apply(Sample, job.id, step=100, key=sample_key(job.id, 1, "gone"))
    await world.deliver(after=3)
    card = world.channel.history()[-1]
    assert card.attachments == []
    assert "step" in words(card) or "photos" in words(card)
