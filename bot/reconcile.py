"""Compares rows with the world: jobs whose worker died, jobs that Redis forgot, bytes that nobody needs."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import Enum
from functools import partial

from redis.asyncio import ConnectionPool, Redis

from bot.loops import Loop, Wake, forever
from bot.outbox import Outbox, Trace
from storage.blobs import Blobs
from storage.contract import task_id
from storage.database import Database
from storage.faults import reach
from storage.leftovers import expired_photos, forget_photos, prune_inbox, unreferenced
from storage.outbox import jobs_in_redis, release_again
from storage.outcomes import retry_job
from storage.redis_client import OUTAGE
from storage.schema import Job, JobState

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
PHOTOS_SECONDS = 60.0
SWEEP_SECONDS = 3600.0
ORPHAN_AGE = timedelta(days=1)
INBOX_AGE = timedelta(days=30)
SWEPT = ("photos", "models", "samples", "pictures", "checkpoints")
"""What belongs to jobs. Class images belong to nobody and stay."""
BATCH = 500
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
        look_seconds: float = LOOK_SECONDS,
        on_changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_changed` is called after jobs were started anew or given up."""
        self._database, self._blobs, self._outbox, self._clock = database, blobs, outbox, clock
        self._redis = Redis(connection_pool=pool)
        self._patience, self._photo_retention = lease / 2, photo_retention
        self._look_seconds, self._on_changed = look_seconds, on_changed
        self._patient_until = clock() + self._patience
        self._suspects: dict[str, int] = {}

    @property
    def loops(self) -> Sequence[Loop]:
        """What to run for as long as the bot does."""
        return (
            partial(forever, "the look at leases", self.look, Wake(self._look_seconds).rest),
            partial(forever, "the removal of photos", self.drop_photos, Wake(PHOTOS_SECONDS).rest),
            partial(forever, "the sweep of orphans", self.sweep, Wake(SWEEP_SECONDS).rest),
        )

    async def look(self) -> None:
        """Judge every job that Redis should know of; start anew what is lost, send again what is forgotten."""
        try:
            if await self._redis.set(WITNESS_KEY, b"1", nx=True):
                self._be_patient()
            async with self._database.read() as session:
                jobs = await jobs_in_redis(session)
            if jobs and self._clock() >= self._patient_until:
                await self._judge(jobs)
        except OUTAGE:
            self._be_patient()
            raise

    async def drop_photos(self) -> None:
        """Delete the photos of trainings that ended long enough ago."""
        async with self._database.read() as session:
            photos = await expired_photos(session, self._clock() - self._photo_retention, BATCH)
        for photo in photos:
            await self._blobs.delete(photo.key)
        if photos:
            reach("photos.deleted")
            async with self._database.write() as session:
                await forget_photos(session, [photo.id for photo in photos])
            log.info("%d photos deleted", len(photos))

    async def sweep(self) -> None:
        """Delete old blobs that no row points at, such as those of an attempt that died before its last event."""
        for prefix in SWEPT:
            batch: list[str] = []
            async for entry in self._blobs.entries(prefix):
                if entry.modified < self._clock() - ORPHAN_AGE:
                    batch.append(entry.key)
                if len(batch) == BATCH:
                    await self._delete_orphans(batch)
                    batch = []
            await self._delete_orphans(batch)
        async with self._database.write() as session:
            await prune_inbox(session, self._clock() - INBOX_AGE)

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
        self._outbox.wake()
        self._on_changed()

    async def _delete_orphans(self, keys: Sequence[str]) -> None:
        async with self._database.read() as session:
            orphans = await unreferenced(session, keys)
        for key in orphans:
            await self._blobs.delete(key)
        if orphans:
            log.info("%d orphaned blobs deleted", len(orphans))
