"""Trainings, accepted in one transaction with all that belongs to them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.admission import check_admitted
from storage.contract import Box, JobKind, Quality, SubjectKind, TrainingOptions, TrainRequest
from storage.errors import ModelNotReady, TrainingActive
from storage.identifiers import choose_identifier
from storage.jobs import active_jobs, job_of_interaction
from storage.model_names import free_name
from storage.models import check_up, find_own_model
from storage.names import name_key, validate_name
from storage.people import ensure_owner
from storage.promises import NO_LIMIT, add_card, add_job
from storage.quotas import check_quota
from storage.schema import Job, Model, ModelStatus, Photo


@dataclass(frozen=True, kw_only=True)
class NewPhoto:
    """A photo that is already in the blob store."""

    key: str
    sha256: str
    width: int
    height: int
    subject: Box | None = None
    """Where the photo shows it, if that was found."""


@dataclass(frozen=True, kw_only=True)
class NewTraining:
    """The ids are made by the caller, because the photos' keys carry them."""

    job: str
    model: str
    """A new one, or that of a model which learns once more."""
    interaction_id: int
    owner_id: int
    guild_id: int | None
    channel_id: int
    name: str
    class_noun: str
    subject_kind: SubjectKind
    quality: Quality
    photos: tuple[NewPhoto, ...]
    base: str
    seed: int
    options: TrainingOptions = field(default_factory=TrainingOptions)
    photo_flaws: tuple[str, ...] = ()
    """What is wrong with the photos, as the bot calls it."""
    class_agreed: bool = False
    """That the owner was asked whether the class noun fits."""
    locale: str | None = None
    """The language of its messages."""


async def accept_training(session: AsyncSession, new: NewTraining, at: datetime, per_day: int | None = NO_LIMIT) -> Job:
    """Promise a training: model, photos, job, charge, card and outbox row. The same interaction twice is the same job.

    Raises `Blocked`, `Paused`, `InvalidName`, `NameTaken`, `TrainingActive`, `QuotaUsedUp`; of a model that learns once
    more `ModelNotFound`, `ModelNotReady`, `ModelTakenDown`.
    """
    name = validate_name(new.name)
    await ensure_owner(session, new.owner_id, at)
    if (known := await job_of_interaction(session, new.interaction_id)) is not None:
        return known
    await check_admitted(session, new.owner_id, new.guild_id)
    for active in await active_jobs(session, new.owner_id):
        if active.kind is JobKind.TRAIN:
            raise TrainingActive(active.id)
    await check_quota(session, new.owner_id, JobKind.TRAIN, 1, per_day, at)
    model = await _model_to_train(session, new, name, at)
    job = Job(
        id=new.job,
        kind=JobKind.TRAIN,
        owner_id=new.owner_id,
        guild_id=new.guild_id,
        channel_id=new.channel_id,
        model_id=model.id,
        interaction_id=new.interaction_id,
        base=new.base,
        request=_train_request(new, model).model_dump(mode="json"),
        created_at=at,
        locale=new.locale,
        photo_flaws=list(new.photo_flaws),
    )
    await add_job(session, job, at)
    add_card(session, job, at)
    session.add_all(
        Photo(
            job_id=job.id,
            model_id=model.id,
            position=position,
            key=photo.key,
            sha256=photo.sha256,
            width=photo.width,
            height=photo.height,
        )
        for position, photo in enumerate(new.photos)
    )
    return job


async def _model_to_train(session: AsyncSession, new: NewTraining, name: str, at: datetime) -> Model:
    if await session.get(Model, new.model) is not None:
        model = await find_own_model(session, new.model, new.owner_id)
        check_up(model)
        if model.status is not ModelStatus.READY:
            raise ModelNotReady(model.name)
        return model
    await free_name(session, new.owner_id, name, at)
    model = Model(
        id=new.model,
        owner_id=new.owner_id,
        guild_id=new.guild_id,
        name=name,
        name_key=name_key(name),
        class_noun=new.class_noun,
        subject_kind=new.subject_kind,
        identifier=choose_identifier(await _identifiers_in_use(session, new.owner_id)),
        base=new.base,
        photo_count=len(new.photos),
        photo_flaws=list(new.photo_flaws),
        created_at=at,
    )
    session.add(model)
    await session.flush()
    return model


async def _identifiers_in_use(session: AsyncSession, owner_id: int) -> Sequence[str]:
    query = select(Model.identifier).where(Model.owner_id == owner_id, Model.deleted_at.is_(None))
    return (await session.scalars(query)).all()


def _train_request(new: NewTraining, model: Model) -> TrainRequest:
    return TrainRequest(
        job=new.job,
        attempt=1,
        model=model.id,
        base=new.base,
        identifier=model.identifier,
        class_noun=new.class_noun,
        subject_kind=new.subject_kind,
        quality=new.quality,
        photos=tuple(photo.key for photo in new.photos),
        crops=tuple(photo.subject for photo in new.photos),
        options=new.options,
        class_agreed=new.class_agreed,
        seed=new.seed,
    )
