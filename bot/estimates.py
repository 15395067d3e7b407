"""How long a training will take: as its like took here, and until there are any, by a rough rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import Quality
from storage.history import count_active_trainings, finished_imaginings, finished_trainings
from storage.jobs import NewTraining
from storage.schema import Job

ROUGH_STEPS = {Quality.FAST: 150, Quality.GOOD: 250, Quality.BEST: 400}
"""About what the recipes come to, whatever the kind and the number of photos."""
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
    done = await finished_trainings(session, training.base)
    paces = [job.seconds / job.steps for job in done if job.seconds and job.steps]
    pace = median(paces) if paces else ROUGH_SECONDS_A_STEP
    ahead = await count_active_trainings(session, training.base)
    return Estimate(_steps(training, done) * pace, ahead, measured=bool(paces))


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
    if training.options.steps is not None:
        return training.options.steps
    like = [
        job.steps
        for job in done
        if job.steps
        and job.request["quality"] == training.quality
        and job.request["subject_kind"] == training.subject_kind
        and job.request["options"]["steps"] is None
    ]
    return median(like) if like else ROUGH_STEPS[training.quality]
