import asyncio
import contextlib

import pytest
from redis.asyncio import ConnectionPool, Redis
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

import bot.events
from bot.events import BATCH, EventReader
from storage.contract import (
    EVENT_FIELD,
    EVENTS_GROUP,
    EVENTS_STREAM,
    AnyEvent,
    Queued,
    Started,
    request_key,
)
from storage.database import Database
from storage.schema import Image, InboxEntry, Job, JobState
from tests.storage.disks import read_only
from tests.storage.examples import NOW, Clock, accepted_imagining, imagined
from tests.waiting import until

SOON = 50
"""Milliseconds to wait for an event that may not come."""


@pytest.fixture
def reader(database: Database, pool: ConnectionPool) -> EventReader:
    return EventReader(database, pool, Clock())


async def say(redis: Redis, *events: AnyEvent) -> None:
    for event in events:
        await redis.xadd(EVENTS_STREAM, {EVENT_FIELD: event.model_dump_json()})


async def read_all(reader: EventReader) -> None:
    for _ in range(3):
        await reader.read(SOON)


async def state_of(database: Database, job: Job) -> JobState:
    async with database.read() as session:
        return (await session.get_one(Job, job.id)).state


async def left(redis: Redis) -> tuple[int, int]:
    """How many entries the stream holds, and how many were read and not acknowledged."""
    pending = await redis.xpending(EVENTS_STREAM, EVENTS_GROUP)
    return await redis.xlen(EVENTS_STREAM), pending["pending"]


async def test_events_from_before_the_first_start_are_applied_and_dropped(
    reader: EventReader, database: Database, redis: Redis
) -> None:
    job = await accepted_imagining(database)
    await redis.set(request_key(job.id, 1), b"a prompt")
    await say(redis, Queued(job=job.id, attempt=1, seq=1), imagined(job))
    await read_all(reader)
    assert await state_of(database, job) is JobState.SUCCEEDED
    assert await left(redis) == (0, 0)
    assert not await redis.exists(request_key(job.id, 1))


async def test_dying_before_the_acknowledgement_applies_nothing_twice(
    database: Database, pool: ConnectionPool, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await accepted_imagining(database)
    await say(redis, imagined(job))
    first = EventReader(database, pool, Clock())
    with monkeypatch.context() as patch:
        patch.setattr(bot.events, "TERMINAL", None)  # dies between commit and acknowledgement
        with pytest.raises(TypeError):
            await read_all(first)
    assert await state_of(database, job) is JobState.SUCCEEDED
    assert await left(redis) == (1, 1)

    await read_all(EventReader(database, pool, Clock()))
    assert await left(redis) == (0, 0)
    async with database.read() as session:
        assert len((await session.scalars(select(Image))).all()) == 1
        assert len((await session.scalars(select(InboxEntry))).all()) == 1


async def test_dying_before_the_commit_brings_the_event_back(
    reader: EventReader, database: Database, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await accepted_imagining(database)
    await say(redis, imagined(job))

    async def locked(*_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("database is locked"))

    with monkeypatch.context() as patch:
        patch.setattr(bot.events, "apply_event", locked)
        with pytest.raises(OperationalError):
            await read_all(reader)
    assert await state_of(database, job) is JobState.ACCEPTED
    await read_all(reader)
    assert await state_of(database, job) is JobState.SUCCEEDED


async def test_what_is_no_event_does_not_stand_in_the_way(
    reader: EventReader, database: Database, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    job = await accepted_imagining(database)
    secret = imagined(job).model_dump_json().replace('"v":1', '"v":2')
    for field, value in (
        ("nonsense", b"1"),
        (EVENT_FIELD, b"{"),
        (EVENT_FIELD, secret.encode()),
        (EVENT_FIELD, b"\xff"),
    ):
        await redis.xadd(EVENTS_STREAM, {field: value})
    await say(redis, imagined(job))
    await read_all(reader)
    assert await state_of(database, job) is JobState.SUCCEEDED
    assert await left(redis) == (0, 0)
    assert len(caplog.records) == 4
    assert job.id not in caplog.text


async def test_an_event_that_the_rows_refuse_leaves_the_others(
    reader: EventReader, database: Database, redis: Redis
) -> None:
    """Two jobs claim one picture: the key is unique, and the second one is refused."""
    first, second, third = [await accepted_imagining(database) for _ in range(3)]
    done = imagined(first)
    assert done.imagined is not None
    key = f"pictures/{second.id}/{first.id}/0.png"
    stolen = done.imagined.pictures[0].model_copy(update={"key": key})
    pictures = done.imagined.model_copy(update={"pictures": (stolen,)})
    events = [
        imagined(job).model_copy(update={"imagined": pictures}) if job is not third else imagined(job)
        for job in (first, second, third)
    ]
    await say(redis, *events)
    await read_all(reader)
    assert [await state_of(database, job) for job in (first, second, third)] == [
        JobState.SUCCEEDED,
        JobState.ACCEPTED,
        JobState.SUCCEEDED,
    ]
    assert await left(redis) == (0, 0)


async def test_tells_when_rows_have_changed(database: Database, pool: ConnectionPool, redis: Redis) -> None:
    news: list[bool] = []
    reader = EventReader(database, pool, Clock(), on_applied=lambda: news.append(True))
    job = await accepted_imagining(database)
    await say(redis, imagined(job))
    await read_all(reader)
    await say(redis, imagined(job))
    await read_all(reader)
    assert news == [True]


async def test_a_long_backlog_is_read_to_its_end(reader: EventReader, database: Database, redis: Redis) -> None:
    job = await accepted_imagining(database)
    async with redis.pipeline() as pipe:
        for seq in range(BATCH + 20):
            event = Queued(job=job.id, attempt=1, seq=seq)
            pipe.xadd(EVENTS_STREAM, {EVENT_FIELD: event.model_dump_json()})
        await pipe.execute()
    await read_all(reader)
    async with database.read() as session:
        assert (await session.get_one(Job, job.id)).last_seq == BATCH + 19
    assert await left(redis) == (0, 0)


async def test_the_loop_goes_on_after_redis_was_wiped(
    reader: EventReader, database: Database, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    job = await accepted_imagining(database)
    task = asyncio.ensure_future(reader.run())
    try:
        await say(redis, Queued(job=job.id, attempt=1, seq=1))
        await reached(database, job, JobState.QUEUED)
        await redis.flushall()
        await say(redis, Started(job=job.id, attempt=1, seq=2, worker="w", steps=1))
        await reached(database, job, JobState.RUNNING)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    async with database.read() as session:
        assert (await session.get_one(Job, job.id)).started_at == NOW


async def reached(database: Database, job: Job, state: JobState) -> None:
    async def is_there() -> bool:
        return await state_of(database, job) is state

    await until(is_there)


async def test_a_number_that_no_column_holds_leaves_the_others(
    reader: EventReader, database: Database, redis: Redis
) -> None:
    first, second = [await accepted_imagining(database) for _ in range(2)]
    await say(redis, Started(job=first.id, attempt=1, seq=1, worker="w", steps=2**70), imagined(second))
    await read_all(reader)
    assert [await state_of(database, job) for job in (first, second)] == [JobState.ACCEPTED, JobState.SUCCEEDED]
    assert await left(redis) == (0, 0)


async def test_a_full_disk_keeps_the_events_until_there_is_room(
    reader: EventReader, database: Database, redis: Redis
) -> None:
    job = await accepted_imagining(database)
    await say(redis, imagined(job))
    async with read_only(database):
        with pytest.raises(OperationalError):
            await read_all(reader)
        assert await left(redis) == (1, 1)
    await read_all(reader)
    assert await state_of(database, job) is JobState.SUCCEEDED
    assert await left(redis) == (0, 0)


async def test_a_full_redis_is_still_read(reader: EventReader, database: Database, redis: Redis) -> None:
    """It takes no more, but gives what it has, and that makes room."""
    job = await accepted_imagining(database)
    await say(redis, Queued(job=job.id, attempt=1, seq=1))
    await read_all(reader)
    await say(redis, imagined(job))
    await redis.config_set("maxmemory", 1)
    try:
        await read_all(reader)
    finally:
        await redis.config_set("maxmemory", 0)
    assert await state_of(database, job) is JobState.SUCCEEDED
    assert await left(redis) == (0, 0)
