"""One try at one job, from its claim to its last event."""

import asyncio
import logging
from pathlib import Path

from pydantic import ValidationError

from gpu_worker import transfer
from gpu_worker.claim import Claim, Unwanted
from gpu_worker.ending import end
from gpu_worker.engine_process import EngineStopped
from gpu_worker.event_log import EventLog
from gpu_worker.patience import patiently
from gpu_worker.pipe import Imagine, ImaginingDone, JobCancelled, JobFailed, JobReport, Train, TrainingDone
from gpu_worker.relay import Relay
from gpu_worker.station import Station
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
    Trained,
    TrainRequest,
    request_key,
)
from storage.faults import reach

log = logging.getLogger(__name__)

Request = TrainRequest | ImagineRequest


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
            events = await EventLog.begin(station.redis, job, attempt, claim.holds)
            speaking = group.create_task(events.run())
            ended = await Attempt(station, claim, events, job, attempt).run(raw)
            await events.flush()
            await end((holding, speaking))
        return ended
    finally:
        await claim.release()


class Attempt:
    """Fetches what the engine needs, and turns its last report into files and the last event.

    Whatever ends the attempt early cancels it in the engine, and the engine's last report ends it here too. Once the
    claim is lost nothing more is said.
    """

    def __init__(self, station: Station, claim: Claim, events: EventLog, job: str, attempt: int) -> None:
        self._station, self._claim, self._events = station, claim, events
        self._job, self._attempt = job, attempt
        self._ended = False

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
            await self._end_unwanted_or(Failed, reason=FailureReason.ENGINE_DIED, retry=True)
        return True

    async def _work(self, request: Request, folder: Path) -> None:
        if await self._claim.look():
            return await self._end_unwanted()
        self._events.tell(Queued)
        order = await patiently(lambda: self._fetch(request, folder), wanted=self._is_wanted)
        reach("attempt.fetched")
        if self._claim.unwanted:
            return await self._end_unwanted()
        last = await Relay(self._station, self._claim, self._events, request).follow(order)
        await self._conclude(request, last)
        if isinstance(request, TrainRequest):
            await self._station.class_images.store(request)
        return None

    async def _fetch(self, request: Request, folder: Path) -> Train | Imagine:
        if isinstance(request, ImagineRequest):
            return await transfer.fetch_imagining(self._station.shelf, self._station.blobs, request, folder)
        await self._station.class_images.fetch(request)
        return await transfer.fetch_training(self._station.blobs, request, folder)

    # The end.

    async def _conclude(self, request: Request, last: JobReport) -> None:
        match last:
            case TrainingDone() | ImaginingDone():
                await self._finish(request, last)
            case JobFailed(reason=reason, seen_class=seen):
                log.warning("job %s attempt %d failed: %s %s", self._job, self._attempt, reason.value, last.detail)
                retry = reason is FailureReason.ENGINE_DIED
                await self._end_unwanted_or(Failed, reason=reason, retry=retry, seen_class=seen)
            case JobCancelled():
                await self._end_unwanted(last.step)
            case _:
                raise TypeError(f"{last.op} is no last report")

    async def _finish(self, request: Request, report: TrainingDone | ImaginingDone) -> None:
        """Store what was made and say so, unless the person has cancelled in the meantime."""
        if not await self._claim.seems_held():
            return
        blobs = self._station.blobs
        result = await patiently(lambda: transfer.store_result(blobs, request, report), wanted=self._is_wanted)
        reach("attempt.result_stored")
        unwanted = await self._claim.look()
        if unwanted is Unwanted.CANCELLED:
            await transfer.drop_result(blobs, request)
            await self._end(Cancelled)
        elif isinstance(result, Trained):
            await self._end(Done, seconds=report.seconds, trained=result)
        else:
            await self._end(Done, seconds=report.seconds, imagined=result)

    def _is_wanted(self) -> bool:
        return self._claim.unwanted is None

    async def _end_unwanted_or(self, kind: type[EventBase], **fields: object) -> None:
        """End as unwanted if the attempt is, for that is then the reason; else as given."""
        if self._claim.unwanted:
            await self._end_unwanted()
        else:
            await self._end(kind, **fields)

    async def _end_unwanted(self, step: int = 0) -> None:
        if self._claim.unwanted is Unwanted.LATE:
            await self._end(Failed, reason=FailureReason.GAVE_UP, retry=False)
        else:
            await self._end(Cancelled, step=step)

    async def _end(self, kind: type[EventBase], **fields: object) -> None:
        """Say once how the attempt ended; its checkpoints are the bot's to delete, which knows who else needs them."""
        if self._ended:
            return
        self._ended = True
        reach("attempt.ending")
        await self._events.end(kind, **fields)
        reach("attempt.ended")
