"""Rows -> Redis: releases attempts to the workers' queues and looks up what Redis knows of them.

The only file of the bot that knows arq. Redis holds copies alone: what is lost there is written again from the rows.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from hashlib import blake2b
from secrets import token_bytes

from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix, result_key_prefix
from pydantic_core import to_json
from redis.asyncio import ConnectionPool
from redis.exceptions import WatchError

from bot.loops import Wake, forever
from storage.contract import JobKind, cancel_key, lease_key, queue_name, request_key, task_id, worker_key
from storage.database import Database
from storage.faults import reach
from storage.outbox import Release, jobs_to_cancel, jobs_to_hold_back, mark_released, next_releases, release_again
from storage.outcomes import end_job
from storage.queue_codec import decode_job, encode_job
from storage.redis_client import OUTAGE
from storage.schema import Job, JobState
from storage.worker_status import WorkerStatus, status_key

log = logging.getLogger(__name__)

KEPT = timedelta(days=14)
"""How long Redis may hold what no worker has asked for."""
POLL_SECONDS = 1.0
APART_SECONDS = 0.05
"""What is accepted within so short a time is released together."""
WINDOWS: Mapping[JobKind, int] = {JobKind.TRAIN: 8, JobKind.IMAGINE: 128}
"""How many jobs of a kind may wait in one queue. The rest waits in the rows, where the order can still change."""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What Redis knows of one attempt."""

    leased: bool
    queued: bool
    claimed: bool
    finished: bool


class Found(Enum):
    """How an attempt stood in Redis when it was to be taken out."""

    CLAIMED = "a worker has it"
    WAITING = "it stood in its queue"
    NOWHERE = "Redis did not have it"


class Outbox:
    def __init__(
        self,
        database: Database,
        pool: ConnectionPool,
        clock: Callable[[], datetime],
        *,
        windows: Mapping[JobKind, int] = WINDOWS,
        on_cancelled: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_cancelled` is called after a job was cancelled before any worker had it."""
        self._database, self._clock, self._windows, self._on_cancelled = database, clock, windows, on_cancelled
        self._redis = ArqRedis(pool, job_serializer=encode_job, job_deserializer=decode_job)
        self._wake = Wake(POLL_SECONDS, apart=APART_SECONDS)
        self._key = token_bytes(32)

    async def run(self) -> None:
        await forever("the outbox", self.relay, self._wake.rest)

    def wake(self) -> None:
        """Look for new rows at once."""
        self._wake()

    async def worker_alive(self, base: str) -> bool:
        """Tell whether any worker for `base` lives; False also when Redis cannot be asked."""
        try:
            async for key in self._redis.scan_iter(match=worker_key("*"), count=1000):
                if await self._redis.get(key) == base.encode():
                    return True
        except OUTAGE:
            pass
        return False

    async def workers(self) -> Sequence[WorkerStatus] | None:
        """Return what each living worker says of itself, by name; None when Redis cannot be asked."""
        try:
            keys = sorted([key async for key in self._redis.scan_iter(match=status_key("*"), count=1000)])
            said = await self._redis.mget(keys) if keys else []
        except OUTAGE:
            return None
        return [WorkerStatus.model_validate_json(status) for status in said if status is not None]

    async def stop(self, job: Job) -> None:
        """Pass a wish to cancel on at once. Where Redis does not answer, the relay does so later.

        Also of a job that ended before Redis was known to have it: a release may have been cut short.
        """
        try:
            await self._cancel(job)
        except OUTAGE:
            self.wake()

    async def relay(self) -> None:
        """Tell Redis everything that it should know and does not know yet."""
        async with self._database.read() as session:
            releases = await next_releases(session, self._windows)
            unwanted = await jobs_to_cancel(session)
            held = await jobs_to_hold_back(session)
        for release in releases:
            await self._release(release)
        for job in unwanted:
            await self._cancel(job)
        for job in held:
            await self._hold_back(job)

    async def look_up(self, jobs: Sequence[Job]) -> dict[str, Trace]:
        """Return what Redis knows of each job's present attempt, by job id."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for job in jobs:
                task = task_id(job.id, job.attempt)
                pipe.exists(lease_key(job.id, job.attempt))
                pipe.zscore(queue_name(job.kind, job.base), task)
                for prefix in (job_key_prefix, in_progress_key_prefix, result_key_prefix):
                    pipe.exists(prefix + task)
            found = [bool(answer) for answer in await pipe.execute()]
        rows = zip(*[iter(found)] * 5, strict=True)
        return {
            job.id: Trace(leased=leased, queued=in_line and known, claimed=claimed, finished=finished)
            for job, (leased, in_line, known, claimed, finished) in zip(jobs, rows, strict=True)
        }

    async def forget(self, job: Job) -> None:
        """Remove what Redis still holds of an attempt that no worker has and none shall take, the request above all."""
        await self._discard(queue_name(job.kind, job.base), job.id, job.attempt)

    async def _release(self, release: Release) -> None:
        """Write the request, then the task, then that it was sent. Dying in between only makes it happen again."""
        request = release.request | {"person": self._pseudonym(release.owner_id)}
        await self._redis.set(request_key(release.job, release.attempt), to_json(request), ex=KEPT)
        reach("outbox.requested")
        if release.attempt > 1:
            await self._discard(release.queue, release.job, release.attempt - 1)
        await self._redis.enqueue_job(
            release.kind.value,
            release.job,
            release.attempt,
            _job_id=task_id(release.job, release.attempt),
            _queue_name=release.queue,
            _expires=KEPT,
            _defer_until=release.accepted_at if release.attempt > 1 else None,  # it has waited once already
        )
        reach("outbox.enqueued")
        async with self._database.write() as session:
            wanted = await mark_released(session, release, self._clock())
        reach("outbox.released")
        if wanted:
            log.info("job %s attempt %d: sent", release.job, release.attempt)
        else:
            await self._withdraw(release.queue, release.job, release.attempt)

    def _pseudonym(self, owner_id: int) -> str:
        """Return a name by which workers give people turns; it leads to nobody, for its key is never written down."""
        return blake2b(str(owner_id).encode(), key=self._key, digest_size=16).hexdigest()

    async def _cancel(self, job: Job) -> None:
        """Take the job back if no worker has it yet; otherwise let its worker know."""
        await self._redis.set(cancel_key(job.id), b"1", ex=KEPT)
        reach("outbox.cancel_told")
        if await self._withdraw(queue_name(job.kind, job.base), job.id, job.attempt) is not Found.CLAIMED:
            async with self._database.write() as session:
                row = await session.get_one(Job, job.id, with_for_update=True)
                await end_job(session, row, JobState.CANCELLED, self._clock())
            log.info("job %s: taken out of its queue", job.id)
            self._on_cancelled()

    async def _hold_back(self, job: Job) -> None:
        """Take an attempt that no worker has back into the rows; what is in nobody's queue is left to its worker."""
        if await self._withdraw(queue_name(job.kind, job.base), job.id, job.attempt) is Found.WAITING:
            async with self._database.write() as session:
                await release_again(session, job.id, job.attempt, self._clock())
            log.info("job %s: held back", job.id)

    async def _withdraw(self, queue: str, job: str, attempt: int) -> "Found":
        """Take an attempt out of its queue unless a worker has claimed it or claims it at this moment."""
        claimed = in_progress_key_prefix + task_id(job, attempt)
        async with self._redis.pipeline(transaction=True) as pipe:
            await pipe.watch(claimed)
            if await pipe.exists(claimed, lease_key(job, attempt)):
                return Found.CLAIMED
            pipe.multi()  # type: ignore[no-untyped-call]
            pipe.zrem(queue, task_id(job, attempt))
            pipe.delete(job_key_prefix + task_id(job, attempt), request_key(job, attempt))
            try:
                waited, _ = await pipe.execute()
            except WatchError:
                return Found.CLAIMED
        return Found.WAITING if waited else Found.NOWHERE

    async def _discard(self, queue: str, job: str, attempt: int) -> None:
        """Remove an attempt that was given up on, so that arq never starts it again."""
        task = task_id(job, attempt)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.zrem(queue, task)
            pipe.delete(job_key_prefix + task, in_progress_key_prefix + task, request_key(job, attempt))
            await pipe.execute()
