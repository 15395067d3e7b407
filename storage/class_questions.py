"""A training that ended with a question: whether its photos are what their owner calls them. The answer begins another.

The photos' rows go over to the new training in the transaction that accepts it, so that a question is answered once.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import FailureReason, SubjectKind, TrainRequest
from storage.errors import QuestionClosed
from storage.promises import NO_LIMIT
from storage.schema import Job, Model, Photo
from storage.trainings import NewPhoto, NewTraining, accept_training

LIFE = timedelta(hours=12)
"""How long a question waits for its answer, and its photos with it."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the owner says that the photos show, where they said it, and the ids of what begins then."""

    job: str
    model: str
    class_noun: str
    subject_kind: SubjectKind
    interaction_id: int
    guild_id: int | None
    channel_id: int
    locale: str | None = None


async def is_open(session: AsyncSession, job: Job, at: datetime) -> bool:
    """Tell whether the job asks about its class, and its photos are there for an answer."""
    if job.failure is not FailureReason.CLASS_DOUBTFUL or job.finished_at is None or job.finished_at <= at - LIFE:
        return False
    return bool(await session.scalar(select(exists().where(Photo.job_id == job.id))))


async def open_questions(session: AsyncSession, models: Collection[str], at: datetime) -> set[str | None]:
    """Return those of the models, given by their ids, whose training asks about its class and can be answered."""
    asks = Job.failure == FailureReason.CLASS_DOUBTFUL, Job.finished_at > at - LIFE
    photos_are_there = exists().where(Photo.job_id == Job.id)
    return set(await session.scalars(select(Job.model_id).where(Job.model_id.in_(models), *asks, photos_are_there)))


async def train_after_all(
    session: AsyncSession, job: Job, answer: Answer, at: datetime, per_day: int | None = NO_LIMIT
) -> Job:
    """Promise a training of the same photos as the answer says, which is not asked about again.

    Raises `QuestionClosed`, `NameTaken`, `TrainingActive`, `QuotaUsedUp`; the question stays open then.
    """
    if not await is_open(session, job, at):
        raise QuestionClosed
    model = await session.get_one(Model, job.model_id)
    asked = TrainRequest.model_validate(job.request)
    rows = (await session.scalars(select(Photo).where(Photo.job_id == job.id).order_by(Photo.position))).all()
    crops = asked.crops or (None,) * len(rows)
    photos = [
        NewPhoto(key=row.key, sha256=row.sha256, width=row.width, height=row.height, subject=crop)
        for row, crop in zip(rows, crops, strict=True)
    ]
    await session.execute(delete(Photo).where(Photo.job_id == job.id))
    new = NewTraining(
        job=answer.job,
        model=model.id if model.version else answer.model,
        interaction_id=answer.interaction_id,
        owner_id=job.owner_id,
        guild_id=answer.guild_id,
        channel_id=answer.channel_id,
        name=model.name,
        class_noun=answer.class_noun,
        subject_kind=answer.subject_kind,
        quality=asked.quality,
        photos=tuple(photos),
        base=job.base,
        seed=asked.seed,
        options=asked.options,
        photo_flaws=tuple(job.photo_flaws or model.photo_flaws or ()),
        class_agreed=True,
        locale=answer.locale,
    )
    return await accept_training(session, new, at, per_day)
