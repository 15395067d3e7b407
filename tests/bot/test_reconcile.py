import asyncio
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import select

from bot.loops import running
from bot.outbox import Outbox, Trace
from bot.reconcile import Finding, Reconciler, judge
from storage.blobs import Blobs
from storage.contract import (
    EVENT_FIELD,
    EVENTS_STREAM,
    FailureReason,
    JobKind,
    Started,
    Step,
    adapter_key,
    checkpoint_key,
    lease_key,
    photo_key,
    queue_name,
    request_key,
    sample_key,
    task_id,
)
from storage.database import Database
from storage.drafts import keep_draft, take_draft
from storage.events import apply_event
from storage.jobs import request_cancel
from storage.outcomes import fail_job, retry_job
from storage.redis_client import connection_pool
from storage.schema import InboxEntry, Job, JobState, Photo
from tests.storage.examples import ANN, Clock, accepted_imagining, accepted_training, imagined, new_training, trained

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
        *done.trained.keys(),
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


async def test_checkpoints_go_when_their_job_has_ended_and_not_with_an_attempt(
    reconciler: Reconciler, database: Database, outbox: Outbox, redis: Redis, blobs: Blobs
) -> None:
    job = await started_training(database, outbox, redis)
    key = checkpoint_key(job.id, 1, 100)
    await blobs.put(key, b"x")
    async with database.write() as session:
        await retry_job(session, job.id, Clock()())
    await reconciler.drop_checkpoints()
    assert await blobs.list("checkpoints") == [key]

    async with database.write() as session:
        await fail_job(session, job.id, FailureReason.GAVE_UP, Clock()())
    await reconciler.drop_checkpoints()
    assert await blobs.list("checkpoints") == []


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


# What is lost only in part, and what only seems to be lost.


async def test_nobody_is_judged_while_events_wait(
    reconciler: Reconciler, database: Database, outbox: Outbox, redis: Redis, clock: Clock
) -> None:
    """The bot was away, or its event reader is: a job's last event is there, though nobody has read it."""
    job = await started_training(database, outbox, redis)
    await redis.delete(lease_key(job.id, 1))
    unread = await redis.xadd(EVENTS_STREAM, {EVENT_FIELD: trained(job).model_dump_json()})
    await look(reconciler, clock, 6)
    assert (await row_of(database, job)).attempt == 1
    await redis.xdel(EVENTS_STREAM, unread)
    await look(reconciler, clock, 2)
    assert (await row_of(database, job)).attempt == 2


@pytest.mark.parametrize("half", ["queue", "task"])
async def test_a_job_that_redis_has_by_half_is_sent_again(
    reconciler: Reconciler, database: Database, outbox: Outbox, redis: Redis, clock: Clock, half: str
) -> None:
    job = await sent_training(database, outbox)
    queue = queue_name(JobKind.TRAIN, job.base)
    if half == "queue":
        await redis.zrem(queue, task_id(job.id, 1))
    else:
        await redis.delete(f"arq:job:{task_id(job.id, 1)}")
    await look(reconciler, clock, 2)
    await outbox.relay()
    again = await row_of(database, job)
    assert (again.state, again.attempt) == (JobState.QUEUED, 1)
    assert await redis.zscore(queue, task_id(job.id, 1)) is not None
    assert await redis.exists(f"arq:job:{task_id(job.id, 1)}", request_key(job.id, 1)) == 2


async def test_a_job_that_is_given_up_leaves_no_prompt_in_redis(
    reconciler: Reconciler, database: Database, outbox: Outbox, redis: Redis, clock: Clock
) -> None:
    job = await accepted_imagining(database)
    await outbox.relay()
    for attempt in (1, 2, 3):
        await redis.set(f"arq:in-progress:{task_id(job.id, attempt)}", b"1")
        await look(reconciler, clock, 2)
        await outbox.relay()
    assert (await row_of(database, job)).state is JobState.FAILED
    assert await redis.keys("*request*") == []


@pytest.mark.parametrize("sent", [False, True])
async def test_a_training_whose_photos_are_gone_fails_while_it_waits(
    reconciler: Reconciler, database: Database, outbox: Outbox, blobs: Blobs, redis: Redis, sent: bool
) -> None:
    gone, well = await accepted_training(database), await accepted_training(database, owner=ANN + 1)
    for position in range(3):
        await blobs.put(photo_key(well.id, position), b"photo")
        await blobs.put(photo_key(gone.id, position), b"photo")
    await blobs.delete(photo_key(gone.id, 1))
    if sent:
        await outbox.relay()
    await reconciler.look_for_photos()
    failed = await row_of(database, gone)
    assert (failed.state, failed.failure) == (JobState.FAILED, FailureReason.PHOTOS_MISSING)
    assert not (await row_of(database, well)).state.ended
    assert await redis.exists(f"arq:job:{task_id(gone.id, 1)}", request_key(gone.id, 1)) == 0


async def test_an_outage_of_the_blob_store_fails_no_training(
    reconciler: Reconciler, database: Database, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await accepted_training(database)

    async def outage(_: str) -> bool:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(blobs, "exists", outage)
    with pytest.raises(OSError, match="Input/output"):
        await reconciler.look_for_photos()
    assert (await row_of(database, job)).state is JobState.ACCEPTED


# What nobody needs any more.


async def test_the_sweep_leaves_photos_that_wait_for_consent(
    reconciler: Reconciler, database: Database, blobs: Blobs, clock: Clock
) -> None:
    draft = new_training()
    await blobs.put(draft.photos[0].key, b"photo")
    async with database.write() as session:
        await keep_draft(session, draft, clock())
    clock.now = datetime.now().astimezone() + timedelta(days=2)
    await reconciler.sweep()
    assert await blobs.exists(draft.photos[0].key)
    async with database.write() as session:
        await take_draft(session, draft.job, draft.owner_id)
    await reconciler.sweep()
    assert not await blobs.exists(draft.photos[0].key)


async def test_the_sweep_takes_what_killed_writes_left_and_nothing_that_is_being_written(
    reconciler: Reconciler, blobs: Blobs, clock: Clock, tmp_path: Path
) -> None:
    folder = tmp_path / "blobs" / "photos" / ("f" * 32)
    folder.mkdir(parents=True)
    old, new = folder / "1.png#1", folder / "2.png#12"
    for path in (old, new):
        path.write_bytes(b"half a photo")
    clock.now = datetime.now().astimezone()
    day = timedelta(days=1).total_seconds()
    os.utime(old, (clock.now.timestamp() - day - 60,) * 2)
    os.utime(new, (clock.now.timestamp() - day + 60,) * 2)
    await reconciler.sweep()
    assert [path.name for path in folder.iterdir()] == [new.name]


async def test_prompts_of_what_came_to_nothing_age_away(
    reconciler: Reconciler, database: Database, clock: Clock
) -> None:
    failed, cancelled, drawn = [await accepted_imagining(database) for _ in range(3)]
    async with database.write() as session:
        await fail_job(session, failed.id, FailureReason.DIVERGED, clock())
        await request_cancel(session, cancelled.id, ANN, clock())
        await apply_event(session, imagined(drawn), clock())
    clock.advance(30 * 86_400 - 60)
    await reconciler.sweep()
    assert [(await row_of(database, job)).prompt_shown for job in (failed, cancelled)] == ["rex on the moon"] * 2
    clock.advance(60)
    await reconciler.sweep()
    for job in (failed, cancelled):
        row = await row_of(database, job)
        assert row.prompt_shown is None
        assert "moon" not in str(row.request)
        assert row.request["count"] == job.request["count"]
    assert (await row_of(database, drawn)).prompt_shown == "rex on the moon"  # as long as its pictures


async def test_events_are_remembered_for_two_days(reconciler: Reconciler, database: Database, clock: Clock) -> None:
    job = await accepted_imagining(database)
    async with database.write() as session:
        await apply_event(session, imagined(job), clock())
    clock.advance(2 * 86_400)
    await reconciler.sweep()
    assert await inbox(database) == 1
    clock.advance(1)
    await reconciler.sweep()
    assert await inbox(database) == 0


async def inbox(database: Database) -> int:
    async with database.read() as session:
        return len((await session.scalars(select(InboxEntry))).all())


async def test_the_operator_is_told_which_model_has_lost_its_file(
    reconciler: Reconciler, database: Database, blobs: Blobs, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = [await accepted_training(database, owner) for owner in (ANN, ANN + 1)]
    for job in jobs:
        async with database.write() as session:
            await apply_event(session, trained(job), clock())
    done = trained(jobs[0])
    assert done.trained is not None
    await blobs.put(done.trained.adapter.key, b"weights")
    await reconciler.sweep()
    assert f"model {jobs[1].model_id}: its file is gone" in caplog.text
    assert str(jobs[0].model_id) not in caplog.text
