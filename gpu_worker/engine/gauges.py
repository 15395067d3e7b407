"""What the engine says of itself every few seconds: how full it is, and how fast it goes."""

import os
import resource
import time

import torch

from gpu_worker.engine.resident import Resident
from gpu_worker.engine.studio import Studio
from gpu_worker.engine.trainings import Trainings
from storage.worker_status import EngineStatus

EVERY_SECONDS = 2.0
MB = 1 << 20


class Gauges:
    def __init__(self, model: Resident, studio: Studio, trainings: Trainings) -> None:
        self._model, self._studio, self._trainings = model, studio, trainings
        self._read_at, self._was_busy = time.monotonic(), True
        self._batches = self._places = self._train_steps = 0

    def note_batch(self, places: int) -> None:
        self._batches += 1
        self._places += places

    def note_training(self, steps: int) -> None:
        self._train_steps += steps

    def are_due(self, *, busy: bool) -> bool:
        """Tell whether to say something: every few seconds while there is work, and once when it is done."""
        if busy:
            return time.monotonic() - self._read_at >= EVERY_SECONDS
        return self._was_busy

    def read(self, *, busy: bool) -> EngineStatus:
        """Return how it stands now, and how fast it went since the last time."""
        now = time.monotonic()
        seconds = max(now - self._read_at, 1e-3)
        used, total = _memory(self._model.base.device)
        begun = [job for job in self._trainings.jobs if job.begun]
        status = EngineStatus(
            device=str(self._model.base.device),
            slots=self._model.serving.size - 1,
            slots_used=len(self._model.people),
            slots_held=self._model.held,
            training_slots=self._model.together,
            training=len(begun),
            trainings_waiting=len(self._trainings.jobs) - len(begun),
            pictures=len(self._studio.turns.waiting),
            queue=self._studio.turns.queue(),
            batch_fill=self._places / (self._batches * self._studio.room.most) if self._batches else None,
            picture_steps_s=self._places / seconds,
            train_steps_s=self._train_steps / seconds,
            memory_used_mb=used,
            memory_total_mb=total,
        )
        self._read_at, self._was_busy = now, busy
        self._batches = self._places = self._train_steps = 0
        return status


def _memory(device: torch.device) -> tuple[int, int]:
    """Return what is used and what there is, in MB: of the GPU, or what this process took at most of the machine's."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return (total - free) // MB, total // MB
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // MB, machine // MB
