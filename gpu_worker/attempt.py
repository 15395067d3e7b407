"""One try at one job, from its claim to its last event."""

import asyncio
import logging
import time
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from redis.asyncio import Redis

from gpu_worker import transfer
from gpu_worker.claim import Claim, Unwanted
from gpu_worker.class_images import ClassImages
from gpu_worker.engine_process import EngineProcess, EngineStopped
from gpu_worker.event_log import EventLog
from gpu_worker.pipe import (
    Began,
    Checkpointed,
    Imagine,
    ImaginingDone,
    JobCancelled,
    JobFailed,
    JobReport,
    Progress,
    Sampled,
    Train,
    TrainingDone,
)
from gpu_worker.settings import WorkerSettings
from gpu_worker.workspace import Workspace
from storage.blobs import Blobs
from storage.contract import (
    REQUEST,
    Cancelled,
    Done,
    EventBase,
    Failed,
    FailureReason,
    ImagineRequest,
    JobKind,
    Queued,
    Sample,
    Saved,
    Stage,
    Started,
    Step,
    Trained,
    TrainRequest,
    request_key,
)
from storage.faults import reach

log = logging.getLogger(__name__)

STEP_EVENT_SECONDS = 1.0

Request = TrainRequest | ImagineRequest


@dataclass(frozen=True, kw_only=True)
class Station:
    """What every attempt on this worker works with."""

    name: str
    settings: WorkerSettings
    redis: Redis
    blobs: Blobs
    engine: EngineProcess
    workspace: Workspace
    class_images: ClassImages


async def run_attempt(station: Station, kind: JobKind, job: str, attempt: int) -> bool:
    """Do the job unless it is not there or another worker has it; returns False when it has to stay in the queue."""
    raw = await station.redis.get(request_key(job, attempt))
    if raw is None:
        log.info("job %s attempt %d: nothing to do, it has ended or expired", job, attempt)
        return True
    settings = station.settings
    claim = Claim(
        station.redis,
        job,
        attempt,
        holder=station.name,
        lease_seconds=settings.lease_seconds,
        renew_seconds=settings.lease_renew_seconds,
        limit_seconds=settings.limit_seconds(kind),
        on_unwanted=lambda: station.engine.cancel(job),
    )
    if not await claim.take():
        log.info("job %s attempt %d: another worker has it", job, attempt)
        return True
    reach("attempt.claimed")
    try:
        async with asyncio.TaskGroup() as group:
            holding = group.create_task(claim.hold())
            events = await EventLog.begin(station.redis, job, attempt)
            ended = await Attempt(station, claim, events, job, attempt).run(raw)
            holding.cancel()
        return ended
    finally:
        await claim.release()


class Attempt:
    """Feeds the engine and turns its reports into files and events.

    Whatever ends the attempt early cancels it in the engine, and the engine's last report ends it here too. Once the
    claim is lost nothing more is said.
    """

    def __init__(self, station: Station, claim: Claim, events: EventLog, job: str, attempt: int) -> None:
        self._station, self._claim, self._events = station, claim, events
        self._job, self._attempt = job, attempt
        self._ended = False
        self._stage: Stage | None = None
        self._told_step_at = 0.0

    async def run(self, raw: bytes) -> bool:
        """Do the job; returns False when the engine was stopped in order and the job has to stay in the queue."""
        try:
            request = REQUEST.validate_json(raw)
        except ValidationError as error:
            log.error("job %s: a request that this version does not know (%d errors)", self._job, error.error_count())
            await self._end(Failed, reason=FailureReason.UPGRADE)
            return True
        try:
            with self._station.workspace.job_folder() as folder:
                await self._work(request, folder)
        except transfer.CannotFetch as error:
            log.warning("job %s: %s", self._job, error)
            await self._end(Failed, reason=error.reason)
        except EngineStopped:
            log.info("job %s attempt %d is left to another worker", self._job, self._attempt)
            return False
        except Exception:
            log.exception("job %s attempt %d broke", self._job, self._attempt)
            await self._end(Failed, reason=FailureReason.ENGINE_DIED, retry=True)
        return True

    async def _work(self, request: Request, folder: Path) -> None:
        if await self._claim.look():
            return await self._end_unwanted()
        await self._tell(Queued)
        order = await self._fetch(request, folder)
        reach("attempt.fetched")
        if self._claim.unwanted:
            return await self._end_unwanted()
        async with aclosing(self._station.engine.perform(order)) as reports:
            async for report in reports:
                await self._pass_on(request, report)
        if isinstance(request, TrainRequest):
            await self._station.class_images.store(request)
        return None

    async def _fetch(self, request: Request, folder: Path) -> Train | Imagine:
        if isinstance(request, ImagineRequest):
            return await transfer.fetch_imagining(self._station.blobs, request, folder)
        await self._station.class_images.fetch(request)
        return await transfer.fetch_training(self._station.blobs, request, folder)

    async def _pass_on(self, request: Request, report: JobReport) -> None:
        blobs = self._station.blobs
        match report:
            case Began():
                await self._tell(Started, worker=self._station.name, steps=report.steps)
            case Progress():
                await self._tell_step(report)
            case Sampled():
                key = await transfer.store_sample(blobs, request, report)
                await self._tell(Sample, step=report.step, key=key)
            case Checkpointed():
                key = await transfer.store_checkpoint(blobs, request, report)
                await self._tell(Saved, step=report.step, key=key, digest=report.digest)
            case JobCancelled():
                await self._end_unwanted(report.step)
            case JobFailed():
                await self._end_failed(report)
            case _:
                await self._finish(request, report)

    async def _tell_step(self, report: Progress) -> None:
        """Pass on at most one step a second, but always the first of a stage."""
        now = time.monotonic()
        if report.stage is not self._stage or now - self._told_step_at >= STEP_EVENT_SECONDS:
            self._stage, self._told_step_at = report.stage, now
            await self._tell(Step, **report.model_dump(include={"stage", "step", "steps", "loss", "seconds_left"}))

    async def _tell(self, kind: type[EventBase], **fields: object) -> None:
        if self._claim.unwanted is not Unwanted.LOST:
            await self._events.emit(kind, **fields)

    # The end.

    async def _finish(self, request: Request, report: TrainingDone | ImaginingDone) -> None:
        """Store what was made and say so, unless the person has cancelled in the meantime."""
        result = await transfer.store_result(self._station.blobs, request, report)
        reach("attempt.result_stored")
        if await self._claim.look() in {Unwanted.CANCELLED, Unwanted.LOST}:
            await transfer.drop_result(self._station.blobs, request)
            await self._end_unwanted()
        elif isinstance(result, Trained):
            await self._end(Done, seconds=report.seconds, trained=result)
        else:
            await self._end(Done, seconds=report.seconds, imagined=result)

    async def _end_failed(self, report: JobFailed) -> None:
        log.warning("job %s attempt %d failed: %s %s", self._job, self._attempt, report.reason.value, report.detail)
        if self._claim.unwanted:
            await self._end_unwanted()
        else:
            await self._end(Failed, reason=report.reason, retry=report.reason is FailureReason.ENGINE_DIED)

    async def _end_unwanted(self, step: int = 0) -> None:
        if self._claim.unwanted is Unwanted.LATE:
            await self._end(Failed, reason=FailureReason.GAVE_UP)
        else:
            await self._end(Cancelled, step=step)

    async def _end(self, kind: type[EventBase], *, retry: bool = False, **fields: object) -> None:
        """Say once how the attempt ended; checkpoints go unless another attempt is to go on from them."""
        if self._ended or self._claim.unwanted is Unwanted.LOST:
            return
        self._ended = True
        if kind is Failed:
            fields["retry"] = retry
        reach("attempt.ending")
        await self._events.end(kind, **fields)
        reach("attempt.ended")
        if not retry:
            await transfer.drop(self._station.blobs, f"checkpoints/{self._job}")
