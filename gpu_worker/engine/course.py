"""What a training carries from stage to stage, how that is saved, and how the training goes back to it."""

import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from gpu_worker import pipe
from gpu_worker.engine.adapters import file_digest
from gpu_worker.engine.candidates import Tried
from gpu_worker.engine.checkpoints import (
    CheckpointRefused,
    Position,
    finalists_of,
    load_checkpoint,
    prune,
    save_checkpoint,
)
from gpu_worker.engine.choosing import Score
from gpu_worker.engine.embedder import Embedders
from gpu_worker.engine.finalists import Candidate, places
from gpu_worker.engine.recipes import Recipe
from gpu_worker.engine.training import Diverged, DreamBooth
from storage.contract import TrainRequest, Variant

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 20.0
"""The least time between two checkpoints, and about the most that a dead worker costs. Young's rule (1974), the root of
twice the time to save times the time between deaths, gives this for a checkpoint of 0.16 s, which the demo base's take
(benchmarks/checkpoints.py), and a worker that dies every 20 minutes. Cautious, but cheap: saving takes under 1 %."""
CHECKPOINT_SHARE = 0.02
"""The most of the training's time that saving may take: where a checkpoint takes a second, they come every 50 s."""


@dataclass
class Course:
    order: pipe.Train
    recipe: Recipe
    photos: list[Image.Image]
    digest: str
    """Of everything that decides the result: a checkpoint of another training does not fit."""
    embedders: Embedders | None
    losses: list[float] = field(default_factory=list)
    unread: list[Tensor] = field(default_factory=list)
    """Losses that are still on the device."""
    finalists: dict[Variant, Candidate] = field(default_factory=dict)
    tried: list[Tried] = field(default_factory=list)
    class_by_base: list[Image.Image] = field(default_factory=list)
    """What the plain base draws for the class prompt, to see by how much that changes."""
    class_images: list[Image.Image] = field(default_factory=list)
    """Some of those that prior preservation looks at."""
    checkpoints: list[Path] = field(default_factory=list)
    saved_at: float = field(default_factory=lambda: time.monotonic())
    save_seconds: float = 0.0

    @property
    def request(self) -> TrainRequest:
        return self.order.request

    @property
    def job(self) -> str:
        return self.order.request.job

    @property
    def save_is_due(self) -> bool:
        return time.monotonic() - self.saved_at > max(CHECKPOINT_SECONDS, self.save_seconds / CHECKPOINT_SHARE)

    @property
    def others(self) -> list[Image.Image]:
        """Members of the class other than the subject, for embedders that know none themselves."""
        return self.class_images or self.class_by_base

    def consider(self, score: Score, trainer: DreamBooth) -> None:
        """Remember this point of the training if it takes a place among the finalists."""
        highest = max((one.score for one in self.tried if one.score is not None), default=-math.inf)
        if taken := places(self.finalists, score, highest):
            self.finalists |= dict.fromkeys(taken, Candidate(trainer.position, score, trainer.trained()))

    def read_losses(self, trainer: DreamBooth) -> None:
        """Bring the losses of the steps since the last reading from the device. Raises `Diverged`."""
        if not self.unread:
            return
        read = torch.stack(self.unread).tolist()
        self.unread.clear()
        # The weights as well: the last step may have spoiled them after its loss was taken.
        if not all(math.isfinite(loss) for loss in read) or not trainer.is_finite():
            raise Diverged(f"the loss is not finite at step {trainer.position}")
        self.losses += read


def save(course: Course, trainer: DreamBooth) -> pipe.Checkpointed | None:
    """Write a checkpoint; without room for it on the disk the training goes on, and the one before has to do.

    Raises `Diverged`, so that no checkpoint ever holds what is not finite.
    """
    if trainer.position == 0:
        return None
    course.read_losses(trainer)
    position = Position(
        training=course.digest,
        step=trainer.position,
        losses=tuple(course.losses),
        rate=trainer.rate,
        tried=tuple(course.tried),
    )
    path = course.order.folder / f"checkpoint-{trainer.position:06d}.safetensors"
    began = time.monotonic()
    try:
        save_checkpoint(path, position, trainer.state(), course.finalists)
        digest = file_digest(path)
    except (OSError, SafetensorError) as problem:
        log.warning("job %s goes on without a checkpoint at step %d: %s", course.job, trainer.position, problem)
        return None
    finally:
        course.saved_at = time.monotonic()
        course.save_seconds = course.saved_at - began
    others = [other for other in course.checkpoints if other != path]
    course.checkpoints = [*others, path][-2:]  # the one before may be on its way to the blob store
    prune(course.order.folder, course.checkpoints)
    return pipe.Checkpointed(job=course.job, step=trainer.position, path=path, digest=digest)


def go_back(course: Course, trainer: DreamBooth) -> None:
    """Put the training where its newest usable checkpoint stands, or at the start."""
    for path in filter(None, [*reversed(course.checkpoints), course.order.checkpoint]):
        if _restore(course, trainer, path):
            log.info("job %s goes on from step %d", course.job, trainer.position)
            return
    trainer.begin()
    course.losses, course.unread, course.finalists, course.tried = [], [], {}, []


def _restore(course: Course, trainer: DreamBooth, path: Path) -> bool:
    try:
        position, tensors = load_checkpoint(path, course.digest)
        trainer.restore(tensors, position.step)
    except (CheckpointRefused, KeyError, RuntimeError) as problem:
        log.warning("job %s cannot go on from %s: %s", course.job, path.name, problem)
        return False
    trainer.rate = min(trainer.rate, position.rate)
    course.losses, course.unread = list(position.losses), []
    course.finalists, course.tried = finalists_of(position, tensors), list(position.tried)
    return True
