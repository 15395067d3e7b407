"""The engine's loop: it turns orders into reports, one small piece of work at a time.

A piece is a denoising step of a batch of pictures or a training step of some people; `turns.py` says which comes next.
Orders are read between pieces, so cancelling takes effect at the next one.
"""

import logging
import queue
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gpu_worker import pipe
from gpu_worker.engine.adapters import AdapterRefused
from gpu_worker.engine.gauges import Gauges
from gpu_worker.engine.memory import give_back, ran_out
from gpu_worker.engine.photos import PhotoMissing
from gpu_worker.engine.picture_tools import PictureMissing
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.studio import Studio
from gpu_worker.engine.training import Diverged
from gpu_worker.engine.trainings import Trainings
from gpu_worker.engine.turns import Floor
from storage.contract import FailureReason

log = logging.getLogger(__name__)

ALIVE_SECONDS = 1.0


class EngineLoop:
    """Runs jobs on a resident base until told to stop; another thread fills `orders`, where None ends the input."""

    def __init__(
        self,
        model: Resident,
        cache: Path,
        orders: "queue.SimpleQueue[pipe.Order | None]",
        send: Callable[[pipe.Frame], None],
    ) -> None:
        self.model, self.orders, self.send = model, orders, send
        self.studio = Studio(model, send, self._fail)
        self.trainings = Trainings(model, cache, send, self._fail)
        self.gauges = Gauges(model, self.studio, self.trainings)
        self.floor = Floor()
        self.last_sign: tuple[float, Sequence[str]] = 0.0, ()

    def run(self) -> None:
        while self._take_orders(wait=not self._tell_status()):
            pictures, trainings = self.studio.has_steps, self.trainings.busy
            self.studio.hand_over(patient=not (pictures or trainings))
            on_training = self.floor.training_is_next(pictures=pictures, trainings=trainings)
            began = time.monotonic()
            if on_training:
                self._train_on()
            elif pictures:
                self._draw_on()
            self.floor.spent(time.monotonic() - began, on_training=on_training)

    def _tell_status(self) -> bool:
        """Say how it stands if it is time to, and return whether there is work."""
        busy = self.trainings.busy or self.studio.busy
        if self.gauges.are_due(busy=busy):
            self.send(pipe.Status(engine=self.gauges.read(busy=busy)))
        return busy

    def _show_life(self, jobs: Sequence[str]) -> None:
        """Tell the parent that the step before did not hang, and whose comes now."""
        at, told = self.last_sign
        if jobs != told or time.monotonic() - at > ALIVE_SECONDS:
            self.send(pipe.Alive(job=jobs[0], others=tuple(jobs[1:])))
            self.last_sign = time.monotonic(), jobs

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
                self.trainings.save()
                return False
            self._take(order)
            wait = False

    def _take(self, order: pipe.Train | pipe.Imagine | pipe.Prefetch | pipe.Cancel) -> None:
        match order:
            case pipe.Train():
                self.trainings.take(order)
            case pipe.Imagine():
                self.studio.take(order)
            case pipe.Prefetch():
                self._prefetch(order)
            case pipe.Cancel():
                self._cancel(order.job)

    def _prefetch(self, order: pipe.Prefetch) -> None:
        try:
            self.model.prefetch(order.adapter, order.digest)
        except AdapterRefused as problem:
            log.warning("a model was not fetched ahead: %s", problem)  # whoever asks for it will be told

    def _cancel(self, job_id: str) -> None:
        """Drop a job. One that is unknown, because it has just ended, is left at its own last report."""
        if self.studio.cancel(job_id):
            self.send(pipe.JobCancelled(job=job_id))
        self.trainings.cancel(job_id)

    def _draw_on(self) -> None:
        if batch := self.studio.choose():
            self._show_life(list(dict.fromkeys(turn.job for turn in batch)))
            self.studio.draw(batch)
            self.gauges.note_batch(sum(turn.places for turn in batch))

    def _train_on(self) -> None:
        company = self.trainings.choose()
        self._show_life([job.id for job in company])
        self.gauges.note_training(sum(job.due is not None for job in company))
        self.trainings.go_on(company)

    def _fail(self, job: str, problem: Exception) -> None:
        reason = failure_reason(problem)
        log.error("job %s failed: %s", job, reason, exc_info=problem)
        self.send(pipe.JobFailed(job=job, reason=reason, detail=f"{type(problem).__name__}: {problem}"[:500]))
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
        case PictureMissing():
            return FailureReason.PICTURE_MISSING
        case _:
            return FailureReason.ENGINE_DIED
