"""People's models: who may see and use which, and what an owner may do with theirs."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import PurePosixPath

from sqlalchemy import ColumnElement, and_, delete, false, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import JobKind
from storage.deliveries import touch_card
from storage.errors import ModelNotFound, ModelNotReady, NameTaken
from storage.leftovers import strike_prompt
from storage.names import name_key, validate_name
from storage.outcomes import stop_job
from storage.schema import Image, Job, Model, ModelStatus, Photo
from storage.variants import delete_variants

__all__ = [
    "check_name_free",
    "count_own",
    "count_server",
    "cover_key",
    "delete_model",
    "find_model",
    "find_own_model",
    "model_of",
    "own_models",
    "rename_model",
    "server_models",
    "share_model",
    "trainings_of",
    "unshare_model",
    "usable_models",
    "validate_name",
]


DELETED_NAME = "(deleted)"
"""Stands where the name stood; no model can be called so."""


def _own(owner_id: int) -> ColumnElement[bool]:
    return and_(Model.owner_id == owner_id, Model.deleted_at.is_(None))


def _shared_with(guild_id: int | None) -> ColumnElement[bool]:
    """Outside a server nothing is shared; comparing with NULL would match every model that is not shared at all."""
    if guild_id is None:
        return false()
    return and_(Model.shared_guild_id == guild_id, Model.status == ModelStatus.READY, Model.deleted_at.is_(None))


async def usable_models(session: AsyncSession, asker_id: int, guild_id: int | None) -> Sequence[Model]:
    """Return the models that a prompt of this person may name here: their own first, then those shared, by name."""
    mine = and_(_own(asker_id), Model.status == ModelStatus.READY)
    query = select(Model).where(or_(mine, _shared_with(guild_id)))
    return (await session.scalars(query.order_by(Model.owner_id != asker_id, Model.name_key, Model.id))).all()


async def own_models(session: AsyncSession, owner_id: int, offset: int, limit: int) -> Sequence[Model]:
    """Return a page of a person's models in every status, the newest first."""
    return await _page(session, _own(owner_id), offset, limit)


async def server_models(session: AsyncSession, guild_id: int, offset: int, limit: int) -> Sequence[Model]:
    """Return a page of the models that are shared with a server, the newest first."""
    return await _page(session, _shared_with(guild_id), offset, limit)


async def count_own(session: AsyncSession, owner_id: int) -> int:
    return await _count(session, _own(owner_id))


async def count_server(session: AsyncSession, guild_id: int) -> int:
    return await _count(session, _shared_with(guild_id))


async def find_model(session: AsyncSession, model_id: str, asker_id: int, guild_id: int | None) -> Model:
    """Return a model of the asker's own, in any status, or one shared with the server. Raises `ModelNotFound`."""
    query = select(Model).where(Model.id == model_id, or_(_own(asker_id), _shared_with(guild_id)))
    model = (await session.scalars(query)).one_or_none()
    if model is None:
        raise ModelNotFound
    return model


async def find_own_model(session: AsyncSession, model_id: str, owner_id: int) -> Model:
    """Return the model, which the transaction then may change. Raises `ModelNotFound`."""
    query = select(Model).where(Model.id == model_id, _own(owner_id)).with_for_update()
    model = (await session.scalars(query)).one_or_none()
    if model is None:
        raise ModelNotFound
    return model


async def model_of(session: AsyncSession, job: Job) -> Model | None:
    """Return the model that a job trains or draws with, even when it is deleted by now; None for the plain base."""
    return None if job.model_id is None else await session.get(Model, job.model_id)


async def check_name_free(session: AsyncSession, owner_id: int, name: str) -> None:
    """Raises `NameTaken` unless the owner may call a new model so. A failed training gives its name up."""
    holder = await _holder(session, owner_id, name)
    if holder is not None and holder.status is not ModelStatus.FAILED:
        raise NameTaken(holder.name)


async def free_name(session: AsyncSession, owner_id: int, name: str, at: datetime) -> None:
    """Take the name from a model whose training failed. Raises `NameTaken`."""
    await check_name_free(session, owner_id, name)
    holder = await _holder(session, owner_id, name)
    if holder is not None:
        holder.deleted_at = at
        await session.flush()


async def rename_model(session: AsyncSession, model_id: str, owner_id: int, name: str) -> Model:
    """Raises `ModelNotFound`, `InvalidName`, `NameTaken`."""
    model = await find_own_model(session, model_id, owner_id)
    name = validate_name(name)
    holder = await _holder(session, owner_id, name)
    if holder is not None and holder.id != model.id:
        raise NameTaken(holder.name)
    model.name, model.name_key = name, name_key(name)
    return model


async def share_model(session: AsyncSession, model_id: str, owner_id: int, guild_id: int) -> Model:
    """Let everybody in the server draw with the model. Raises `ModelNotFound`, `ModelNotReady`."""
    model = await find_own_model(session, model_id, owner_id)
    if model.status is not ModelStatus.READY:
        raise ModelNotReady(model.name)
    model.shared_guild_id = guild_id
    return model


async def unshare_model(session: AsyncSession, model_id: str, owner_id: int) -> Model:
    """Raises `ModelNotFound`."""
    model = await find_own_model(session, model_id, owner_id)
    model.shared_guild_id = None
    return model


def cover_key(model_id: str, image: Image) -> str:
    """Name the copy of a picture that stands for a model: it stays when the picture itself is deleted."""
    return f"models/{model_id}/{image.job_id}/cover-{image.id}{PurePosixPath(image.key).suffix}"


async def trainings_of(session: AsyncSession, model_id: str) -> Sequence[str]:
    """Return the ids of the jobs that trained the model."""
    return (await session.scalars(select(Job.id).where(Job.model_id == model_id, Job.kind == JobKind.TRAIN))).all()


async def delete_model(session: AsyncSession, model_id: str, owner_id: int, at: datetime) -> list[str]:
    """Forget the model and everything made from it; return the keys of the blobs to delete after the commit.

    A training that still runs is asked to stop. What the caller does not come to delete, the sweep of orphans finds.
    Raises `ModelNotFound`.
    """
    model = await find_own_model(session, model_id, owner_id)
    keys = [key for key in (model.adapter_key, model.download_key, model.cover_key) if key is not None]
    for table in (Photo, Image):
        keys += await session.scalars(delete(table).where(table.model_id == model.id).returning(table.key))
    keys += await delete_variants(session, model.id)
    for job in await session.scalars(select(Job).where(Job.model_id == model.id).with_for_update()):
        if job.sample_key is not None:
            keys.append(job.sample_key)
            job.sample_key = None
            await touch_card(session, job.id, at, at_once=True)
        if not job.state.ended:
            await stop_job(session, job, at)
        strike_prompt(job)
    model.adapter_key = model.adapter_digest = model.download_key = model.download_digest = model.cover_key = None
    model.shared_guild_id, model.deleted_at = None, at
    model.name, model.name_key = DELETED_NAME, ""
    return sorted(set(keys))


async def _holder(session: AsyncSession, owner_id: int, name: str) -> Model | None:
    query = select(Model).where(_own(owner_id), Model.name_key == name_key(name))
    return (await session.scalars(query)).one_or_none()


async def _page(session: AsyncSession, whose: ColumnElement[bool], offset: int, limit: int) -> Sequence[Model]:
    query = select(Model).where(whose).order_by(Model.created_at.desc(), Model.id).offset(offset).limit(limit)
    return (await session.scalars(query)).all()


async def _count(session: AsyncSession, whose: ColumnElement[bool]) -> int:
    return await session.scalar(select(func.count()).select_from(Model).where(whose)) or 0
