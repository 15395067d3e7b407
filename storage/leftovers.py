"""Which bytes, rows and words nobody needs any more, and which bytes are needed and gone."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.companions import forget_words
from storage.contract import FailureReason, JobKind, mask_key, reference_key
from storage.schema import (
    ACTIVE,
    OPEN,
    WAITING,
    Draft,
    Image,
    InboxEntry,
    Job,
    JobState,
    Model,
    ModelStatus,
    ModelVariant,
    Photo,
)

STRUCK = "(deleted)"
"""Stands where a prompt stood."""


async def unreferenced(session: AsyncSession, keys: Collection[str]) -> list[str]:
    """Return those of the blob keys that no row points at and that belong to no active job and no draft.

    Every key holds the id of its job or model, so that all of this is looked up by primary keys.
    """
    parts = {part for key in keys for part in key.split("/")}
    jobs = (await session.scalars(select(Job).where(Job.id.in_(parts)))).all()
    models = parts | {job.model_id for job in jobs if job.model_id is not None}
    needed = {job.id for job in jobs if job.state in ACTIVE}
    needed.update(await session.scalars(select(Draft.id).where(Draft.id.in_(parts))))
    known = {job.sample_key for job in jobs} | {key for job in jobs for key in brought_with(job)}
    for model in await session.scalars(select(Model).where(Model.id.in_(models))):
        known |= {model.adapter_key, model.download_key, model.cover_key}
    variants = select(ModelVariant.adapter_key, ModelVariant.download_key).where(ModelVariant.model_id.in_(models))
    known.update(key for row in await session.execute(variants) for key in row)
    for column in (Photo.key, Image.key):
        known.update(await session.scalars(select(column).where(column.in_(keys))))
    return [key for key in keys if key not in known and needed.isdisjoint(key.split("/"))]


async def expired_photos(
    session: AsyncSession, ended_before: datetime, asked_before: datetime, limit: int
) -> Sequence[Photo]:
    """Return photos of trainings that ended before the time; they have done their work.

    Those whose owner is asked about their class wait until `asked_before`, if that is earlier.
    """
    query = select(Photo).join(Job, Job.id == Photo.job_id).where(Job.finished_at <= ended_before)
    unasked = or_(Job.failure.is_(None), Job.failure != FailureReason.CLASS_DOUBTFUL)
    query = query.where(or_(unasked, Job.finished_at <= asked_before))
    return (await session.scalars(query.order_by(Photo.id).limit(limit))).all()


async def forget_photos(session: AsyncSession, ids: Collection[int]) -> None:
    await session.execute(delete(Photo).where(Photo.id.in_(ids)))


async def awaited_photos(session: AsyncSession, limit: int) -> Mapping[str, Sequence[str]]:
    """Return the photos' keys of the trainings that wait, those that come next first, by job id."""
    first = select(Job.id).where(
        OPEN, Job.state.in_(WAITING), Job.kind == JobKind.TRAIN, Job.cancel_requested_at.is_(None)
    )
    jobs = (await session.scalars(first.order_by(Job.created_at, Job.id).limit(limit))).all()
    keys: dict[str, list[str]] = {job: [] for job in jobs}
    for photo in await session.scalars(select(Photo).where(Photo.job_id.in_(jobs)).order_by(Photo.id)):
        keys[photo.job_id].append(photo.key)
    return keys


async def ready_models(session: AsyncSession, after: str, limit: int) -> Sequence[Model]:
    """Return the next models in the order of their ids whose files must be there."""
    query = select(Model).where(Model.id > after, Model.status == ModelStatus.READY, Model.deleted_at.is_(None))
    return (await session.scalars(query.order_by(Model.id).limit(limit))).all()


def brought_with(job: Job) -> list[str]:
    """Return the keys of what its asker sent along, to draw from or as a mask: kept for as long as the words beside it.

    A job that was asked for from another's card may go on from what came with that one; it is that one's.
    """
    source = job.request.get("source") or {}
    own = {reference_key(job.id), mask_key(job.id)} & {source.get("key"), source.get("mask")}
    return [] if job.prompt_shown is None else sorted(own)


def strike_prompt(job: Job) -> None:
    """Remove what a person wrote from their request; its sizes and counts stay."""
    job.prompt_shown = None
    if job.kind is JobKind.IMAGINE:
        job.request = {**job.request, "prompt": STRUCK, "negative_prompt": ""}
    else:
        job.request = {**job.request, "options": {**job.request["options"], "class_prompt": None}}


async def forget_prompts(session: AsyncSession, ended_before: datetime, limit: int) -> int:
    """Strike the prompts of requests that came to nothing before the time; returns how many those were."""
    query = select(Job).where(Job.state.in_((JobState.FAILED, JobState.CANCELLED)), Job.finished_at <= ended_before)
    jobs = (await session.scalars(query.where(Job.prompt_shown.is_not(None)).limit(limit))).all()
    for job in jobs:
        strike_prompt(job)
    await forget_words(session, [job.id for job in jobs])
    return len(jobs)


async def prune_inbox(session: AsyncSession, before: datetime, limit: int) -> int:
    """Forget events that are too old to come again, so many at a time; returns how many those were."""
    old = select(InboxEntry.event_id).where(InboxEntry.at < before).limit(limit)
    gone = await session.scalars(delete(InboxEntry).where(InboxEntry.event_id.in_(old)).returning(InboxEntry.event_id))
    return len(gone.all())
