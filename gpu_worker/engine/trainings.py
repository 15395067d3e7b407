"""Everybody's trainings in work: which go on together, and what becomes of their jobs.

A piece of work is whatever a training does until it pauses. Those that stand before a step take it in one forward and
backward pass if they are alike; they join and leave at any step, and each learns what it would learn alone.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpu_worker import pipe
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.room import Room
from gpu_worker.engine.training import alike, gradients
from gpu_worker.engine.training_job import Due, Reports, Stopping, train

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Training:
    id: str
    person: str
    work: Reports
    alone: bool
    """In no company: something broke while it was in some."""
    begun: bool = False
    prepared: bool = False
    due: Due | None = None
    """The step that it stands before."""
    steps_done: int = 0
    seconds: float = 0.0
    """Of the device's time: not what others took in between, and a share of what was done together."""


class Trainings:
    def __init__(
        self,
        model: Resident,
        cache: Path,
        send: Callable[[pipe.Report], None],
        fail: Callable[[str, Exception], None],
    ) -> None:
        self.model, self.cache, self.send, self.fail = model, cache, send, fail
        self.jobs: list[Training] = []
        """In the order in which they came."""
        self.served: dict[str, float] = {}
        """The seconds that each person present was given; newcomers start level with the least served."""
        self.room = Room(model.together)

    @property
    def busy(self) -> bool:
        return bool(self.jobs)

    def take(self, order: pipe.Train) -> None:
        request = order.request
        person = request.person or request.job
        self.served.setdefault(person, min(self.served.values(), default=0.0))
        self.jobs.append(Training(request.job, person, train(self.model, order, self.cache), order.alone))

    def cancel(self, job_id: str) -> bool:
        """Drop a job; False when it is not here."""
        job = next((job for job in self.jobs if job.id == job_id), None)
        if job is None:
            return False
        self._forget(job)
        job.work.close()
        self.send(pipe.JobCancelled(job=job.id, step=job.steps_done))
        return True

    def choose(self) -> list[Training]:
        """Return who goes on now: the least served person's training and whoever can take its step with it."""
        self._begin()
        begun = sorted((job for job in self.jobs if job.begun), key=lambda job: self.served[job.person])
        leader = begun[0]
        company = [job for job in begun if job is leader or _go_together(leader, job)]
        return company[: self.room.most]

    def go_on(self, company: Sequence[Training]) -> None:
        """Let these do their next piece of work, which `choose` has returned."""
        began = time.monotonic()
        if len(company) == 1 or self._learn_together(company):
            for job in company:
                self._advance(job)
        for job in company:
            if job.person in self.served:
                self.served[job.person] += (time.monotonic() - began) / len(company)

    def save(self) -> None:
        """Let every training write what the next engine can go on from."""
        for job in self.jobs:
            try:
                while report := job.work.throw(Stopping()):
                    self._tell(job, report)
            except (Stopping, StopIteration):
                log.info("job %s stopped at step %d", job.id, job.steps_done)
            except Exception:
                log.exception("job %s could not be saved", job.id)  # its last checkpoint stays

    def _begin(self) -> None:
        """Begin another training, of somebody who has none in work if possible, when there is room for it.

        One prepares at a time, so that class images that several need are drawn once.
        """
        begun = [job.person for job in self.jobs if job.begun]
        waiting = [job for job in self.jobs if not job.begun]
        preparing = any(job.begun and not job.prepared for job in self.jobs)
        if waiting and not preparing and len(begun) < self.model.together:
            min(waiting, key=lambda job: (begun.count(job.person), self.served[job.person])).begun = True
            self.room = Room(self.model.together)  # what fits is found out anew

    def _learn_together(self, company: Sequence[Training]) -> bool:
        """Make everybody's gradients in one pass; False when the memory does not hold that, and less is tried next.

        Where it breaks otherwise, each goes on alone from now on, so that the guilty one is found.
        """
        dues = [job.due for job in company if job.due is not None]
        began = time.monotonic()

        def learn() -> None:
            for due, loss in zip(dues, gradients([due.trainer for due in dues]), strict=True):
                due.loss = loss

        try:
            fitted = self.room.attempt(learn)
        except Exception:
            log.exception("a step of %d trainings broke; each goes on alone", len(company))
            for job in company:
                job.alone = True
            return True
        took = time.monotonic() - began
        for job, due in zip(company, dues, strict=True):
            due.seconds = took
            job.seconds += took / len(company)
        return fitted

    def _advance(self, job: Training) -> None:
        """Go on until the training pauses or ends."""
        job.due = None
        try:
            while (piece := _next_of(job)) is not None:
                if isinstance(piece, Due):
                    job.due, job.prepared = piece, True
                    return
                self._tell(job, piece)
        except StopIteration:
            self._forget(job)
        except Exception as problem:  # noqa: BLE001 - one job's failure must not end the others
            self._forget(job)
            self.fail(job.id, problem)

    def _tell(self, job: Training, report: "pipe.Report | Due") -> None:
        if isinstance(report, pipe.Progress):
            job.steps_done = report.step
        if isinstance(report, pipe.TrainingDone):
            report = report.model_copy(update={"seconds": job.seconds})
        if not isinstance(report, Due):
            self.send(report)

    def _forget(self, job: Training) -> None:
        self.jobs.remove(job)
        if all(other.person != job.person for other in self.jobs):
            del self.served[job.person]


def _next_of(job: Training) -> "pipe.Report | Due | None":
    began = time.monotonic()
    try:
        return next(job.work)
    finally:
        job.seconds += time.monotonic() - began


def _go_together(one: Training, other: Training) -> bool:
    if one.due is None or other.due is None or one.alone or other.alone:
        return False
    return alike(one.due.trainer, other.due.trainer)
