"""The engine's loop: it turns orders into reports, one small piece of work at a time.

A piece is a denoising step or a training step. Pictures go first, for somebody waits for each of them; a training gets
its turn whenever none is waiting, and at least once after every picture order. Orders are read between pieces, so
cancelling takes effect at the next one.
"""

import logging
import queue
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from gpu_worker import pipe
from gpu_worker.engine.adapters import AdapterRefused
from gpu_worker.engine.imagining_job import imagine
from gpu_worker.engine.memory import give_back, ran_out
from gpu_worker.engine.photos import PhotoMissing
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.training import Diverged
from gpu_worker.engine.training_job import Stopping, train
from storage.contract import FailureReason

log = logging.getLogger(__name__)

ALIVE_SECONDS = 1.0

Work = Generator[pipe.Report | None, None, None]


@dataclass
class Job:
    id: str
    work: Work
    steps_done: int = 0


class EngineLoop:
    """Runs jobs on a resident base until told to stop; another thread fills `orders`, where None ends the input."""

    def __init__(
        self,
        model: Resident,
        cache: Path,
        orders: "queue.SimpleQueue[pipe.Order | None]",
        send: Callable[[pipe.Frame], None],
    ) -> None:
        self.model, self.cache, self.orders, self.send = model, cache, orders, send
        self.pictures: deque[Job] = deque()
        self.trainings: deque[Job] = deque()
        self.training_is_due = False
        self.last_sign = 0.0, ""

    def run(self) -> None:
        while self._take_orders(wait=not (self.pictures or self.trainings)):
            if self.trainings and (self.training_is_due or not self.pictures):
                self.training_is_due = False
                self._advance(self.trainings)
            elif self.pictures:
                waiting = len(self.pictures)
                self._advance(self.pictures)
                self.training_is_due = len(self.pictures) < waiting

    def _show_life(self, job: str) -> None:
        """Tell the parent that the step before did not hang, and whose comes now."""
        at, told = self.last_sign
        if job != told or time.monotonic() - at > ALIVE_SECONDS:
            self.send(pipe.Alive(job=job))
            self.last_sign = time.monotonic(), job

    def _take_orders(self, *, wait: bool) -> bool:
        """Take what has come, or wait for something to come; False when it is time to end."""
        while True:
            try:
                order = self.orders.get(block=wait)
            except queue.Empty:
                return True
            if order is None:
                return False
            if isinstance(order, pipe.Stop):
                self._save_trainings()
                return False
            self._take(order)
            wait = False

    def _take(self, order: pipe.Train | pipe.Imagine | pipe.Cancel) -> None:
        match order:
            case pipe.Train():
                self.trainings.append(Job(order.request.job, train(self.model, order, self.cache)))
            case pipe.Imagine():
                self.pictures.append(Job(order.request.job, imagine(self.model, order)))
            case pipe.Cancel():
                self._cancel(order.job)

    def _cancel(self, job_id: str) -> None:
        """Drop a job. One that is unknown, because it has just ended, is left at its own last report."""
        for jobs in (self.pictures, self.trainings):
            for job in [job for job in jobs if job.id == job_id]:
                jobs.remove(job)
                job.work.close()
                self.send(pipe.JobCancelled(job=job.id, step=job.steps_done))

    def _save_trainings(self) -> None:
        for job in self.trainings:
            try:
                while report := job.work.throw(Stopping()):
                    self.send(report)
            except (Stopping, StopIteration):
                log.info("job %s stopped at step %d", job.id, job.steps_done)
            except Exception:
                log.exception("job %s could not be saved", job.id)  # its last checkpoint stays

    def _advance(self, jobs: deque[Job]) -> None:
        """Do the next piece of the first job's work; a failure ends that job alone."""
        job = jobs[0]
        self._show_life(job.id)
        try:
            report = next(job.work)
        except StopIteration:
            jobs.popleft()
            return
        except Exception as problem:  # noqa: BLE001 - the loop top: one job's failure must not end the others
            jobs.popleft()
            self._fail(job, problem)
            return
        if report is not None:
            if isinstance(report, pipe.Progress):
                job.steps_done = report.step
            self.send(report)

    def _fail(self, job: Job, problem: Exception) -> None:
        reason = failure_reason(problem)
        log.error("job %s failed: %s", job.id, reason, exc_info=problem)
        self.send(pipe.JobFailed(job=job.id, reason=reason, detail=f"{type(problem).__name__}: {problem}"[:500]))
        if reason is FailureReason.OUT_OF_MEMORY:
            give_back()


def failure_reason(problem: Exception) -> FailureReason:
    if ran_out(problem):
        return FailureReason.OUT_OF_MEMORY
    match problem:
        case Diverged():
            return FailureReason.DIVERGED
        case AdapterRefused():
            return FailureReason.MODEL_CORRUPT
        case PhotoMissing():
            return FailureReason.PHOTOS_MISSING
        case _:
            return FailureReason.ENGINE_DIED
