"""How long a training will take: as its like took here, and until there are any, by a rough rule.

More photos are looked at for more steps, within bounds, and a training takes time beside its steps: photos are looked
at, class images drawn, candidates compared. `python -m benchmarks.estimates` says how true it comes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import Quality
from storage.history import count_active_trainings, finished_imaginings, finished_trainings
from storage.schema import Job
from storage.trainings import NewTraining

ROUGH_STEPS = {Quality.FAST: 150, Quality.GOOD: 250, Quality.BEST: 400}
"""About what the recipes come to with `ROUGH_PHOTOS`, whatever the kind."""
ROUGH_PHOTOS, LEAST_SHARE, MOST_SHARE = 6, 0.6, 1.1
"""Recipes give fewer photos fewer steps, and more photos more, within these shares."""
ROUGH_SECONDS_A_STEP = 0.5
"""The demo base on a CPU, and Stable Diffusion 1.5 on a middling graphics card, with the pictures drawn on the way."""


@dataclass(frozen=True)
class Estimate:
    gpu_seconds: float
    ahead: int
    """Trainings that come first."""
    measured: bool
    """Whether it follows from trainings that have ended here."""

    @property
    def seconds(self) -> float:
        """Until it is done, where one worker does everything in turn."""
        return self.gpu_seconds * (1 + self.ahead)


async def estimate(session: AsyncSession, training: NewTraining) -> Estimate:
    done = [job for job in await finished_trainings(session, training.base) if job.seconds and job.steps]
    ahead = await count_active_trainings(session, training.base)
    seconds = _seconds(_steps(training, done), training.class_noun, done)
    return Estimate(seconds, ahead, measured=bool(done))


def _seconds(steps: float, class_noun: str, done: Sequence[Job]) -> float:
    """Return what so many steps take, what comes beside them, and class images where a class is new.

    The three are the least squares of what was taken before; while they cannot be told apart, the smallest that fit.
    """
    if not done:
        return steps * ROUGH_SECONDS_A_STEP
    known: set[str] = set()
    facts, taken = [], []
    for job in reversed(done):  # the oldest first
        noun = job.request["class_noun"]
        facts.append((1, job.steps or 0, noun not in known))
        taken.append(job.seconds or 0.0)
        known.add(noun)
    (beside, pace, new_class), *_ = np.linalg.lstsq(np.array(facts, dtype=float), np.array(taken), rcond=None)
    seconds = float(beside + pace * steps + new_class * (class_noun not in known))
    if pace > 0 and seconds > 0:
        return seconds
    return steps * median(time / number for time, (_, number, _) in zip(taken, facts, strict=True))


async def usual_training_seconds(session: AsyncSession, base: str) -> float:
    """Return what a training of good quality takes of the GPU, as far as that is known."""
    done = await finished_trainings(session, base)
    like = [job.seconds for job in done if job.seconds and job.request["quality"] == Quality.GOOD]
    return median(like) if like else ROUGH_STEPS[Quality.GOOD] * ROUGH_SECONDS_A_STEP


async def usual_picture_seconds(session: AsyncSession, base: str) -> float | None:
    """Return what a picture took lately of the GPU; None before there was one."""
    took = [job.seconds / int(job.request["count"]) for job in await finished_imaginings(session, base) if job.seconds]
    return median(took) if took else None


def _steps(training: NewTraining, done: Sequence[Job]) -> float:
    """Return how many steps it will have: as those with the most similar photos and quality had."""
    if training.options.steps is not None:
        return training.options.steps
    photos, rough = len(training.photos), ROUGH_STEPS[training.quality]
    like = [
        job
        for job in done
        if job.request["subject_kind"] == training.subject_kind and job.request["options"]["steps"] is None
    ]
    if not like:
        return rough * _share(photos)

    def distance(job: Job) -> tuple[int, bool]:
        return abs(len(job.request["photos"]) - photos), job.request["quality"] != training.quality

    nearest = min(map(distance, like))
    return median(
        (job.steps or 0)
        * (rough / ROUGH_STEPS[Quality(job.request["quality"])])
        * (_share(photos) / _share(len(job.request["photos"])))
        for job in like
        if distance(job) == nearest
    )


def _share(photos: int) -> float:
    return min(max(photos / ROUGH_PHOTOS, LEAST_SHARE), MOST_SHARE)
