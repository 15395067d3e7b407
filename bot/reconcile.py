"""Compares rows with the world: jobs whose worker died or that Redis forgot, bytes that nobody needs or that are gone.

Each pass does a bounded amount of work; what is left comes with the next.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import Enum
from functools import partial

from redis.asyncio import ConnectionPool, Redis

from bot.loops import Loop, Wake, forever
from bot.outbox import Outbox, Trace
from storage import class_questions
from storage.blobs import Blobs
from storage.contract import EVENTS_STREAM, FailureReason, task_id
from storage.database import Database
from storage.faults import reach
from storage.leftovers import (
    awaited_photos,
    expired_photos,
    forget_photos,
    forget_prompts,
    prune_inbox,
    ready_models,
    unreferenced,
)
from storage.outbox import jobs_in_redis, release_again
from storage.outcomes import fail_job, retry_job
from storage.redis_client import OUTAGE
from storage.schema import WAITING, Job, JobState

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
PHOTOS_SECONDS = 60.0
CHECKPOINTS_SECONDS = 60.0
LOOK_FOR_PHOTOS_SECONDS = 600.0
SWEEP_SECONDS = 3600.0
ORPHAN_AGE = timedelta(days=1)
"""What is younger may be on its way into a row."""
INBOX_AGE = timedelta(days=2)
"""An event that comes later than this is refused all the same, for its attempt has gone on or ended."""
SWEPT = ("photos", "models", "samples", "pictures", "masks", "references", "checkpoints", "exports")
"""What belongs to jobs, and what was packed for somebody to fetch. Class images belong to nobody and stay."""
BATCH = 500
TRAININGS_LOOKED_AT = 50
WITNESS_KEY = "dreambot:witness"
"""Stands in Redis from the first look on; where it is gone, everything else is gone with it."""


class Finding(Enum):
    WELL = "well"
    LOST = "lost by its worker"
    """A worker took the attempt and is silent."""
    FORGOTTEN = "forgotten by Redis"
    """Redis does not know the attempt."""


def judge(state: JobState, trace: Trace) -> Finding:
    """Tell how an attempt is. One that waits in a queue is well, also when a worker had it and shut down in order."""
    if trace.leased or (trace.queued and not trace.claimed):
        return Finding.WELL
    if state is JobState.RUNNING or trace.claimed or trace.finished:
        return Finding.LOST
    return Finding.FORGOTTEN


class Reconciler:
    """Believes a bad finding only when the next look confirms it, for a last event may be on its way.

    At the start, and after an outage or a wipe of Redis, it first gives living workers the time to renew their leases.
    """

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        pool: ConnectionPool,
        outbox: Outbox,
        clock: Callable[[], datetime],
        *,
        lease: timedelta,
        photo_retention: timedelta,
        prompt_retention: timedelta = timedelta(days=30),
        look_seconds: float = LOOK_SECONDS,
        on_changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_changed` is called after jobs were started anew or given up."""
        self._database, self._blobs, self._outbox, self._clock = database, blobs, outbox, clock
        self._redis = Redis(connection_pool=pool)
        self._patience, self._photo_retention, self._prompt_retention = lease / 2, photo_retention, prompt_retention
        self._look_seconds, self._on_changed = look_seconds, on_changed
        self._patient_until = clock() + self._patience
        self._suspects: dict[str, int] = {}
        self._newest_event: bytes | None = None
        self._model_looked_at = ""

    @property
    def loops(self) -> Sequence[Loop]:
        """What to run for as long as the bot does."""
        return (
            partial(forever, "the look at leases", self.look, Wake(self._look_seconds).rest),
            partial(forever, "the removal of photos", self.drop_photos, Wake(PHOTOS_SECONDS).rest),
            partial(forever, "the removal of checkpoints", self.drop_checkpoints, Wake(CHECKPOINTS_SECONDS).rest),
            partial(forever, "the look for photos", self.look_for_photos, Wake(LOOK_FOR_PHOTOS_SECONDS).rest),
            partial(forever, "the sweep of orphans", self.sweep, Wake(SWEEP_SECONDS).rest),
        )

    async def look(self) -> None:
        """Judge every job that Redis should know of; start anew what is lost, send again what is forgotten."""
        try:
            if await self._redis.set(WITNESS_KEY, b"1", nx=True):
                self._be_patient()
            async with self._database.read() as session:
                jobs = await jobs_in_redis(session)
            if await self._events_wait():
                self._suspects.clear()
            elif jobs and self._clock() >= self._patient_until:
                await self._judge(jobs)
        except OUTAGE:
            self._be_patient()
            raise

    async def drop_photos(self) -> None:
        """Delete the photos of trainings that ended long enough ago."""
        now = self._clock()
        async with self._database.survey() as session:
            photos = await expired_photos(session, now - self._photo_retention, now - class_questions.LIFE, BATCH)
        for photo in photos:
            await self._blobs.delete(photo.key)
        if photos:
            reach("photos.deleted")
            async with self._database.write() as session:
                await forget_photos(session, [photo.id for photo in photos])
            log.info("%d photos deleted", len(photos))

    async def drop_checkpoints(self) -> None:
        """Delete the checkpoints of jobs that have ended: a worker cannot know whether another attempt needs them."""
        keys = await self._blobs.list("checkpoints")
        for start in range(0, len(keys), BATCH):
            await self._delete_orphans(keys[start : start + BATCH])

    async def look_for_photos(self) -> None:
        """Fail the trainings whose photos are gone while they wait, rather than when their turn comes."""
        async with self._database.read() as session:
            awaited = await awaited_photos(session, TRAININGS_LOOKED_AT)
        for job_id, keys in awaited.items():
            if not keys or not all([await self._blobs.exists(key) for key in keys]):
                await self._fail_without_photos(job_id)

    async def sweep(self) -> None:
        """Remove what is old and belongs to nothing: blobs, unfinished files, events, prompts of what came to nothing.

        A blob that belongs to nothing is that of an attempt that died before its last event, for one.
        """
        now = self._clock()
        for prefix in SWEPT:
            batch: list[str] = []
            async for entry in self._blobs.entries(prefix):
                if entry.modified < now - ORPHAN_AGE:
                    batch.append(entry.key)
                if len(batch) == BATCH:
                    await self._delete_orphans(batch)
                    batch = []
            await self._delete_orphans(batch)
        await self._blobs.drop_unfinished(now - ORPHAN_AGE)
        for forget, before in ((forget_prompts, now - self._prompt_retention), (prune_inbox, now - INBOX_AGE)):
            count = BATCH
            while count == BATCH:
                async with self._database.write() as session:
                    count = await forget(session, before, BATCH)
        await self._look_for_models()

    async def _look_for_models(self) -> None:
        """Tell the operator which models have lost their file; who draws with one is told by the job's failure."""
        async with self._database.survey() as session:
            models = await ready_models(session, self._model_looked_at, BATCH)
        for model in models:
            if model.adapter_key is not None and not await self._blobs.exists(model.adapter_key):
                log.error("model %s: its file is gone from the blob store", model.id)
        self._model_looked_at = models[-1].id if len(models) == BATCH else ""

    async def _fail_without_photos(self, job_id: str) -> None:
        async with self._database.write() as session:
            job = await session.get_one(Job, job_id, with_for_update=True)
            if job.state not in WAITING or job.cancel_requested_at is not None:
                return
            await fail_job(session, job_id, FailureReason.PHOTOS_MISSING, self._clock())
        log.error("job %s: its photos are gone from the blob store", job_id)
        await self._outbox.forget(job)
        self._on_changed()

    async def _events_wait(self) -> bool:
        """Tell whether an event that was there at the look before is still not applied.

        A worker lets its lease go after its last event, so while events wait nobody's silence means anything.
        """
        oldest = await self._redis.xrange(EVENTS_STREAM, count=1)
        newest = await self._redis.xrevrange(EVENTS_STREAM, count=1)
        known, self._newest_event = self._newest_event, newest[0][0] if newest else None
        return bool(oldest) and known is not None and _moment(oldest[0][0]) <= _moment(known)

    def _be_patient(self) -> None:
        self._patient_until = self._clock() + self._patience
        self._suspects.clear()

    async def _judge(self, jobs: Sequence[Job]) -> None:
        traces = await self._outbox.look_up(jobs)
        known, self._suspects = self._suspects, {}
        for job in jobs:
            finding = judge(job.state, traces[job.id])
            if finding is Finding.WELL:
                continue
            task = task_id(job.id, job.attempt)
            if known.get(task) == job.last_seq:  # silent since the last look
                await self._mend(job, finding)
            else:
                self._suspects[task] = job.last_seq

    async def _mend(self, job: Job, finding: Finding) -> None:
        if finding is Finding.FORGOTTEN:
            await self._outbox.forget(job)  # half of it may be there, and would pass for the whole
        async with self._database.write() as session:
            row = await session.get_one(Job, job.id, with_for_update=True)
            if (row.attempt, row.last_seq) != (job.attempt, job.last_seq):
                return
            if finding is Finding.LOST:
                await retry_job(session, job.id, self._clock())
            else:
                await release_again(session, job.id, job.attempt, self._clock())
            reach("reconcile.written")
        log.warning("job %s attempt %d: %s, now %s", job.id, job.attempt, finding.value, row.state.value)
        reach("reconcile.mended")
        if row.state.ended:
            await self._outbox.forget(job)
        self._outbox.wake()
        self._on_changed()

    async def _delete_orphans(self, keys: Sequence[str]) -> None:
        async with self._database.survey() as session:
            orphans = await unreferenced(session, keys)
        for key in orphans:
            await self._blobs.delete(key)
        if orphans:
            log.info("%d orphaned blobs deleted", len(orphans))


def _moment(entry: bytes) -> tuple[int, int]:
    """Read a stream entry's id, such as 1700000000000-3, which grows."""
    milliseconds, number = entry.split(b"-")
    return int(milliseconds), int(number)
