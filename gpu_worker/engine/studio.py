"""Everybody's pictures in work: which go on together, and what becomes of their jobs.

A piece of work is one denoising step of one batch. Jobs join whenever they come, begin when it is their turn, and leave
one by one; files are encoded by threads of their own, so that no step waits for them.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from gpu_worker import pipe
from gpu_worker.engine.imagining_job import Imagining
from gpu_worker.engine.resident import NoFreeSlot, Resident
from gpu_worker.engine.room import Room
from gpu_worker.engine.sampling import BUCKETS, Row, advance
from gpu_worker.engine.turns import Turn, Turns

log = logging.getLogger(__name__)

MOST_ON_CPU = 8
"""Where nothing is gained by more pictures together, they only make each step, and so every wait, longer."""
ENCODERS = 2


class Studio:
    def __init__(
        self, model: Resident, send: Callable[[pipe.Report], None], fail: Callable[[str, Exception], None]
    ) -> None:
        self.model, self.send, self.fail = model, send, fail
        self.jobs: dict[str, Imagining] = {}
        self.rows: dict[Turn, Row] = {}
        self.turns = Turns()
        self.room = Room(BUCKETS[-1] if model.base.device.type == "cuda" else MOST_ON_CPU)
        self.encoders = ThreadPoolExecutor(ENCODERS, thread_name_prefix="encoder")

    @property
    def has_steps(self) -> bool:
        return bool(self.turns.waiting)

    @property
    def busy(self) -> bool:
        return bool(self.jobs)

    def take(self, order: pipe.Imagine) -> None:
        try:
            job = Imagining(self.model, order)
        except Exception as problem:  # noqa: BLE001 - one picture's failure must not end the others
            self.fail(order.request.job, problem)
            return
        self.jobs[job.id] = job
        self.turns.join(job.turns)

    def cancel(self, job_id: str) -> bool:
        """Drop a job; False when it is not here."""
        job = self.jobs.get(job_id)
        if job is None:
            return False
        self._drop(job)
        for file in job.files:
            file.cancel()
        wait([file for file in job.files if not file.cancelled()])
        return True

    def choose(self) -> list[Turn]:
        """Return whose next step comes."""
        return self.turns.choose(self.room.most, lambda turn: turn.begun or self.jobs[turn.job].can_begin())

    def draw(self, batch: Sequence[Turn]) -> None:
        """Do the next step of these pictures, which `choose` has returned."""
        batch = self._begun(batch)
        jobs = [self.jobs[job] for job in dict.fromkeys(turn.job for turn in batch)]
        began = time.monotonic()
        try:
            moved = bool(batch) and self.room.attempt(lambda: self._advance(batch))
        except Exception as problem:  # noqa: BLE001 - as above
            self._blame(jobs, problem)
            return
        self._charge(batch, time.monotonic() - began)
        if moved:
            self.turns.serve(batch)
            for job in jobs:
                if job.drawn:
                    self._finish(job)

    def hand_over(self, *, patient: bool) -> None:
        """Report the jobs whose files are written; a patient call waits for the next file if any is awaited."""
        written = [job for job in self.jobs.values() if job.files]
        if patient and written:
            wait([file for job in written for file in job.files if not file.done()], return_when=FIRST_COMPLETED)
        for job in written:
            if all(file.done() for file in job.files):
                del self.jobs[job.id]
                try:
                    self.send(job.report())
                except OSError as problem:
                    self.fail(job.id, problem)

    def _begun(self, batch: Sequence[Turn]) -> list[Turn]:
        """Begin the jobs of these pictures that have not, and return those pictures that can go on together."""
        for job in [self.jobs[job] for job in dict.fromkeys(turn.job for turn in batch)]:
            if not job.rows:
                self._begin(job)
        ready = [turn for turn in batch if turn in self.rows]
        return [turn for turn in ready if self.rows[turn].key == self.rows[ready[0]].key]

    def _begin(self, job: Imagining) -> None:
        try:
            self.send(job.begin())
            self.rows.update(zip(job.turns, job.rows, strict=True))
        except NoFreeSlot:
            job.end()
            log.info("job %s waits for a slot", job.id)
        except Exception as problem:  # noqa: BLE001 - as above
            self._drop(job)
            self.fail(job.id, problem)

    def _advance(self, batch: Sequence[Turn]) -> None:
        rows = [self.rows[turn] for turn in batch]
        advance(self.model, rows, most=self.room.most, thrifty=self.room.thrifty)

    def _charge(self, batch: Sequence[Turn], seconds: float) -> None:
        """Put what a step took down to its jobs, to each by its places in the batch."""
        places = sum(turn.places for turn in batch)
        for turn in batch:
            self.jobs[turn.job].seconds += seconds * turn.places / places

    def _blame(self, jobs: Sequence[Imagining], problem: Exception) -> None:
        """Fail the job whose step broke; of several, let each go on alone, so that the guilty one is found."""
        if len(jobs) == 1:
            self._drop(jobs[0])
            self.fail(jobs[0].id, problem)
            return
        log.error("a step of %d jobs broke; each goes on alone: %s", len(jobs), problem)
        for job in jobs:
            for turn in job.turns:
                turn.key = turn.key, job.id

    def _finish(self, job: Imagining) -> None:
        try:
            job.finish(self.encoders)
        except Exception as problem:  # noqa: BLE001 - as above
            self._drop(job)
            self.fail(job.id, problem)
        for turn in job.turns:
            self.rows.pop(turn, None)

    def _drop(self, job: Imagining) -> None:
        del self.jobs[job.id]
        self.turns.leave(job.id)
        for turn in job.turns:
            self.rows.pop(turn, None)
        job.end()
