import asyncio
from datetime import datetime, timedelta

import pytest
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from bot.loops import running
from bot.outbox import Outbox, Trace
from bot.reconcile import Finding, Reconciler, judge
from storage.blobs import Blobs
from storage.contract import (
    FailureReason,
    Started,
    Step,
    adapter_key,
    checkpoint_key,
    lease_key,
    photo_key,
    sample_key,
    task_id,
)
from storage.database import Database
from storage.events import apply_event
from storage.jobs import request_cancel
from storage.redis_client import connection_pool
from storage.schema import Job, JobState, Photo
from tests.storage.examples import ANN, Clock, accepted_imagining, accepted_training, imagined, trained

LEASE = timedelta(seconds=30)
LOOK = 5.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox(database: Database, pool: ConnectionPool, clock: Clock) -> Outbox:
    return Outbox(database, pool, clock)


@pytest.fixture
async def reconciler(
    database: Database, blobs: Blobs, pool: ConnectionPool, outbox: Outbox, clock: Clock
) -> Reconciler:
    """One that has looked around before, so that it trusts what it sees."""
    reconciler = Reconciler(
        database, blobs, pool, outbox, clock, lease=LEASE, photo_retention=timedelta(days=7), look_seconds=LOOK
    )
    await reconciler.look()
    clock.advance(LEASE.total_seconds())
    return reconciler


async def look(reconciler: Reconciler, clock: Clock, times: int) -> None:
    for _ in range(times):
        clock.advance(LOOK)
        await reconciler.look()


async def row_of(database: Database, job: Job) -> Job:
    async with database.read() as session:
        return await session.get_one(Job, job.id)


async def sent_training(database: Database, outbox: Outbox) -> Job:
    job = await accepted_training(database)
    await outbox.relay()
    return job


async def started_training(database: Database, outbox: Outbox, redis: Redis) -> Job:
    """A training that a worker has claimed, leased and begun."""
    job = await sent_training(database, outbox)
    await redis.set(f"arq:in-progress:{task_id(job.id, 1)}", b"1")
    await redis.set(lease_key(job.id, 1), b"worker")
    async with database.write() as session:
        await apply_event(session, Started(job=job.id, attempt=1, seq=1, worker="worker", steps=400), Clock()())
    return job


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
@pytest.mark.parametrize(
    ("signs", "finding"),
    [
        ("leased queued claimed", Finding.WELL),
        ("leased", Finding.WELL),
        ("queued", Finding.WELL),
        ("queued claimed", Finding.LOST),
        ("claimed", Finding.LOST),
        ("finished", Finding.LOST),
        ("", None),
    ],
)
def test_what_redis_knows_tells_how_an_attempt_is(state: JobState, signs: str, finding: Finding | None) -> None:
    trace = Trace(**{name: name in signs.split() for name in ("leased", "queued", "claimed", "finished")})
    if finding is None:
        finding = Finding.LOST if state is JobState.RUNNING else Finding.FORGOTTEN
    assert judge(state, trace) is finding


async def test_a_dead_worker_costs_an_attempt_and_no_more(
    reconciler: Reconciler, database: Database, outbox: Outbox, redis: Redis, clock: Clock
) -> None:
    job = await started_training(database, outbox, redis)
    await look(reconciler, clock, 3)
    assert (await row_of(database, job)).attempt == 1

    await redis.delete(lease_key(job.id, 1))  # it ran out
    await look(reconciler, clock, 1)
    assert (await row_of(database, job)).attempt == 1
    await look(reconciler, clock, 1)
    again = await row_of(database, job)
    assert (again.state, again.attempt) == (JobState.ACCEPTED, 2)

    await outbox.relay()
    await look(reconciler, clock, 3)
    again = await row_of(database, job)
    assert (again.state, again.attempt) == (JobState.QUEUED, 2)


async def test_a_job_that_kills_its_workers_is_given_up(
    reconciler: Reconciler, database: Database, outbox: Outbox, redis: Redis, clock: Clock
) -> None:
    job = await sent_training(database, outbox)
    for attempt in (1, 2, 3):
        await redis.set(f"arq:in-progress:{task_id(job.id, attempt)}", b"1")
        await look(reconciler, clock, 2)
        await outbox.relay()
    last = await row_of(database, job)
    assert (last.state, last.attempt, last.failure) == (JobState.FAILED, 3, FailureReason.GAVE_UP)


async def test_an_event_on_its_way_saves_the_job(
    reconciler: Reconciler, database: Database, outbox: Outbox, redis: Redis, clock: Clock
) -> None:
    """A worker says that it is done and lets its lease go; the event is applied a moment later."""
    job = await started_training(database, outbox, redis)
    await redis.delete(lease_key(job.id, 1))
    await look(reconciler, clock, 1)
    async with database.write() as session:
        await apply_event(session, trained(job), clock())
    await look(reconciler, clock, 2)
    assert (await row_of(database, job)).state is JobState.SUCCEEDED


async def test_a_worker_that_still_speaks_has_not_died(
    reconciler: Reconciler, database: Database, outbox: Outbox, redis: Redis, clock: Clock
) -> None:
    job = await started_training(database, outbox, redis)
    await redis.delete(lease_key(job.id, 1))
    for seq in (2, 3, 4):
        await look(reconciler, clock, 1)
        async with database.write() as session:
            await apply_event(session, Step(job=job.id, attempt=1, seq=seq, step=seq, steps=400), clock())
    assert (await row_of(database, job)).attempt == 1


async def test_a_wiped_redis_loses_no_job(
    reconciler: Reconciler, database: Database, outbox: Outbox, redis: Redis, clock: Clock
) -> None:
    waiting = await accepted_imagining(database)
    running = await started_training(database, outbox, redis)
    await redis.flushall()

    await look(reconciler, clock, 1)  # notices, and lets living workers renew their leases
    assert [(await row_of(database, job)).state for job in (waiting, running)] == [JobState.QUEUED, JobState.RUNNING]
    await look(reconciler, clock, 5)
    await outbox.relay()
    sent_again, restarted = await row_of(database, waiting), await row_of(database, running)
    assert (sent_again.state, sent_again.attempt) == (JobState.QUEUED, 1)
    assert (restarted.state, restarted.attempt) == (JobState.QUEUED, 2)
    assert await redis.exists(f"arq:job:{task_id(waiting.id, 1)}", f"arq:job:{task_id(running.id, 2)}") == 2


async def test_a_worker_that_outlives_a_wipe_keeps_its_job(
    reconciler: Reconciler, database: Database, outbox: Outbox, redis: Redis, clock: Clock
) -> None:
    job = await started_training(database, outbox, redis)
    await redis.flushall()
    await look(reconciler, clock, 2)
    await redis.set(lease_key(job.id, 1), b"worker")  # renewed after ten seconds at the latest
    await look(reconciler, clock, 5)
    assert (await row_of(database, job)).attempt == 1


async def test_a_job_whose_worker_shut_down_in_order_waits_for_the_next(
    reconciler: Reconciler, database: Database, outbox: Outbox, redis: Redis, clock: Clock
) -> None:
    job = await started_training(database, outbox, redis)
    await redis.delete(lease_key(job.id, 1), f"arq:in-progress:{task_id(job.id, 1)}")
    await look(reconciler, clock, 4)
    assert (await row_of(database, job)).attempt == 1


async def test_what_was_to_be_cancelled_is_not_started_again(
    reconciler: Reconciler, database: Database, outbox: Outbox, redis: Redis, clock: Clock
) -> None:
    job = await started_training(database, outbox, redis)
    async with database.write() as session:
        await request_cancel(session, job.id, ANN, clock())
    await redis.delete(lease_key(job.id, 1))
    await look(reconciler, clock, 2)
    assert (await row_of(database, job)).state is JobState.CANCELLED


async def test_nothing_is_judged_right_after_a_start_or_an_outage(
    database: Database, blobs: Blobs, pool: ConnectionPool, outbox: Outbox, redis: Redis, clock: Clock
) -> None:
    job = await started_training(database, outbox, redis)
    await redis.delete(lease_key(job.id, 1))
    reconciler = Reconciler(database, blobs, pool, outbox, clock, lease=LEASE, photo_retention=timedelta())
    await reconciler.look()
    await look(reconciler, clock, 3)
    assert (await row_of(database, job)).attempt == 1  # fifteen seconds have passed, and this was the first look

    dead = connection_pool("redis://127.0.0.1:1/0", patient=False)
    reconciler._redis, alive = Redis(connection_pool=dead), reconciler._redis
    with pytest.raises(RedisConnectionError):
        await reconciler.look()
    reconciler._redis = alive
    await look(reconciler, clock, 3)
    assert (await row_of(database, job)).attempt == 1
    await look(reconciler, clock, 1)
    assert (await row_of(database, job)).attempt == 2


async def test_photos_go_when_their_time_is_over(
    reconciler: Reconciler, database: Database, blobs: Blobs, clock: Clock
) -> None:
    ended, active = await accepted_training(database), await accepted_training(database, owner=ANN + 1)
    for job in (ended, active):
        for position in range(3):
            await blobs.put(photo_key(job.id, position), b"photo")
    async with database.write() as session:
        await apply_event(session, trained(ended), clock())

    clock.advance(7 * 86_400 - 1)
    await reconciler.drop_photos()
    assert len(await blobs.list("photos")) == 6
    clock.advance(1)
    await reconciler.drop_photos()
    assert await blobs.list("photos") == [photo_key(active.id, position) for position in range(3)]
    async with database.read() as session:
        assert await session.get(Photo, 1) is None


async def test_the_sweep_takes_what_nothing_points_at(
    reconciler: Reconciler, database: Database, blobs: Blobs, clock: Clock
) -> None:
    model_job, picture, failed = await accepted_training(database), await accepted_imagining(database), "f" * 32
    active = await accepted_training(database, owner=ANN + 1)
    done, drawn = trained(model_job), imagined(picture)
    assert done.trained is not None
    assert drawn.imagined is not None
    kept = [
        done.trained.adapter.key,
        done.trained.download,
        *(sample.key for sample in done.trained.samples),
        drawn.imagined.pictures[0].key,
        photo_key(model_job.id, 0),
        checkpoint_key(active.id, 1, 100),
        sample_key(active.id, 1, "step-100"),
        "class-images/abc/def/64/0.png",
    ]
    orphans = [
        checkpoint_key(model_job.id, 1, 100),
        sample_key(model_job.id, 1, "step-100"),
        adapter_key(failed, failed, 1),
        photo_key(failed, 0),
    ]
    for key in kept + orphans:
        await blobs.put(key, b"x")
    async with database.write() as session:
        await apply_event(session, done, Clock()())
        await apply_event(session, drawn, Clock()())

    clock.now = datetime.now().astimezone() + timedelta(days=2)  # blobs know only the real time
    await reconciler.sweep()
    left = [
        key
        for prefix in ("class-images", "models", "samples", "pictures", "photos", "checkpoints")
        for key in await blobs.list(prefix)
    ]
    assert sorted(left) == sorted(kept)


async def test_the_sweep_leaves_what_is_new(reconciler: Reconciler, blobs: Blobs, clock: Clock) -> None:
    await blobs.put(photo_key("f" * 32, 0), b"on its way into a row")
    clock.now = datetime.now().astimezone() + timedelta(hours=23)
    await reconciler.sweep()
    assert await blobs.exists(photo_key("f" * 32, 0))
    clock.advance(2 * 3600)
    await reconciler.sweep()
    assert not await blobs.exists(photo_key("f" * 32, 0))


async def test_the_loops_mend_by_themselves(
    database: Database, blobs: Blobs, pool: ConnectionPool, outbox: Outbox, redis: Redis
) -> None:
    mended = asyncio.Event()
    job = await started_training(database, outbox, redis)
    await redis.delete(lease_key(job.id, 1))
    reconciler = Reconciler(
        database,
        blobs,
        pool,
        outbox,
        lambda: datetime.now().astimezone(),
        lease=timedelta(seconds=0.2),
        photo_retention=timedelta(),
        look_seconds=0.05,
        on_changed=mended.set,
    )
    async with running(reconciler.loops), asyncio.timeout(20):
        await mended.wait()
    assert (await row_of(database, job)).attempt == 2
