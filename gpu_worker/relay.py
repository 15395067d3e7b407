"""What the engine reports on the way: steps and pictures told to the bot, checkpoints brought to the blob store."""

import asyncio
import logging
import time
from contextlib import aclosing

from gpu_worker import transfer
from gpu_worker.claim import Claim
from gpu_worker.engine_process import EngineStopped
from gpu_worker.event_log import EventLog
from gpu_worker.patience import STORE_OUTAGE
from gpu_worker.pipe import Began, Checkpointed, Imagine, JobFailed, JobReport, Progress, Sampled, Train
from gpu_worker.saver import Saver
from gpu_worker.station import Station
from storage.contract import ImagineRequest, Sample, Saved, Stage, Started, Step, TrainRequest

log = logging.getLogger(__name__)

STEP_EVENT_SECONDS = 1.0


class Relay:
    """Stands between the engine and everybody else while one job is in work. It never waits for Redis."""

    def __init__(
        self, station: Station, claim: Claim, events: EventLog, request: TrainRequest | ImagineRequest
    ) -> None:
        self._station, self._claim, self._events, self._request = station, claim, events, request
        self._stage: Stage | None = None
        self._told_step_at = 0.0

    async def follow(self, order: Train | Imagine) -> JobReport:
        """Give the engine the job, pass on what it reports, and return its last report. Raises `EngineStopped`."""
        last: JobReport | None = None
        async with asyncio.TaskGroup() as group:
            saver = Saver(self._save)
            saving = group.create_task(saver.run())
            try:
                async with aclosing(self._station.engine.perform(order)) as reports:
                    async for report in reports:
                        last = report
                        await self._pass_on(report, saver)
            except EngineStopped:
                last = None  # said again outside of the group, which would wrap it
            if last is None or isinstance(last, JobFailed):
                await saver.finish()
            else:
                await saver.give_up()
            saving.cancel()
        if last is None:
            raise EngineStopped(self._request.job)
        return last

    async def _pass_on(self, report: JobReport, saver: Saver) -> None:
        match report:
            case Began():
                self._events.tell(Started, worker=self._station.name, steps=report.steps)
            case Progress():
                self._tell_step(report)
            case Sampled():
                await self._show(report)
            case Checkpointed():
                saver.offer(report)
            case _:
                pass  # the last one

    def _tell_step(self, report: Progress) -> None:
        """Pass on at most one step a second, but always the first of a stage."""
        now = time.monotonic()
        if report.stage is not self._stage or now - self._told_step_at >= STEP_EVENT_SECONDS:
            self._stage, self._told_step_at = report.stage, now
            self._events.tell(Step, **report.model_dump(include={"stage", "step", "steps", "loss", "seconds_left"}))

    async def _show(self, report: Sampled) -> None:
        """Store a picture of the training in progress; without it the training goes on as well."""
        if not await self._claim.seems_held():
            return
        try:
            key = await transfer.store_sample(self._station.blobs, self._request, report)
        except STORE_OUTAGE as error:
            log.warning("job %s: the sample of step %d was not stored: %s", report.job, report.step, error)
            return
        self._events.tell(Sample, step=report.step, key=key)

    async def _save(self, report: Checkpointed) -> None:
        """Store a checkpoint and, for whoever goes on from it, the class images that it was trained with."""
        if not await self._claim.seems_held():
            return
        if isinstance(self._request, TrainRequest):
            await self._station.class_images.store(self._request)
        key = await transfer.store_checkpoint(self._station.blobs, self._request, report)
        self._events.tell(Saved, step=report.step, key=key, digest=report.digest)
