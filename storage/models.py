"""People's models: who may see and use which, and what an owner may do with theirs."""

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Integer,
    String,
    and_,
    bindparam,
    delete,
    false,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from storage.companions import forget_words
from storage.contract import JobKind
from storage.deliveries import touch_card
from storage.errors import ModelNotFound, ModelNotReady, ModelTakenDown, NameTaken
from storage.leftovers import brought_with, strike_prompt
from storage.names import name_key, validate_name
from storage.outcomes import stop_job
from storage.people import ensure_owner
from storage.schema import ACTIVE, Image, Job, Model, ModelStatus, Photo, RoleShare, SecondSubject, Share
from storage.variants import delete_variants

__all__ = [
    "asked_by",
    "check_name_free",
    "check_up",
    "cover_key",
    "delete_model",
    "draws_with",
    "find_model",
    "find_own_model",
    "find_to_train_again",
    "given_to",
    "model_of",
    "models_named",
    "own_models",
    "people_shared_with",
    "publish_model",
    "rename_model",
    "roles_shared_with",
    "second_model_of",
    "share_model",
    "share_with_people",
    "share_with_roles",
    "suggest_models",
    "trainings_of",
    "transfer_model",
    "unshare_model",
    "usable_models",
    "validate_name",
]


DELETED_NAME = "(deleted)"
"""Stands where the name stood; no model can be called so."""
ESCAPE = "/"


Number = int | BindParameter[int]
"""A number, or the place for it in a statement that is written once: to write one anew takes longer than to run it."""
ASKER: BindParameter[int] = bindparam("asker", type_=BigInteger)
HERE: BindParameter[int] = bindparam("here", type_=BigInteger)
ROLES: BindParameter[Any] = bindparam("roles", expanding=True)


def _own(owner_id: Number) -> ColumnElement[bool]:
    return and_(Model.owner_id == owner_id, Model.deleted_at.is_(None))


def _shared_with(guild_id: Number | None) -> ColumnElement[bool]:
    """Outside a server nothing is shared; comparing with NULL would match every model that is not shared at all."""
    if guild_id is None:
        return false()
    return and_(Model.shared_guild_id == guild_id, Model.status == ModelStatus.READY, Model.deleted_at.is_(None))


def given_to(person_id: Number, roles: Collection[int] | BindParameter[Any]) -> ColumnElement[bool]:
    """What others share with this very person, or with a role that they have here."""
    by_name = Model.id.in_(select(Share.model_id).where(Share.person_id == person_id))
    by_role = Model.id.in_(select(RoleShare.model_id).where(RoleShare.role_id.in_(roles)))
    return and_(or_(by_name, by_role), Model.status == ModelStatus.READY, Model.deleted_at.is_(None))


def _public() -> ColumnElement[bool]:
    return and_(Model.public_at.is_not(None), Model.status == ModelStatus.READY, Model.deleted_at.is_(None))


MINE_READY = and_(_own(ASKER), Model.status == ModelStatus.READY)
SHARED = or_(_shared_with(HERE), given_to(ASKER, ROLES))
USABLE = select(Model).where(or_(MINE_READY, SHARED)).order_by(Model.owner_id != ASKER, Model.name_key, Model.id)
PART = bindparam("part", type_=String)
FOR_A_CHOICE = (
    Model.name, Model.class_noun, Model.owner_id, Model.created_at,
    Model.status, Model.base, Model.adapter_key, Model.adapter_digest,
)  # fmt: skip
SUGGESTED = (
    select(Model)
    .where(or_(MINE_READY, SHARED), Model.name_key.contains(PART, escape=ESCAPE))
    .order_by(Model.name_key.startswith(PART, escape=ESCAPE).desc(), Model.owner_id != ASKER, Model.name_key, Model.id)
    .limit(bindparam("most", type_=Integer))
    .options(load_only(*FOR_A_CHOICE, raiseload=True))
)
SAID = bindparam("said", type_=String)
NAMED = (
    select(Model)
    .where(or_(_own(ASKER), SHARED), SAID.contains(Model.name_key))
    .order_by(Model.status != ModelStatus.READY, Model.owner_id != ASKER, Model.name_key, Model.id)
)


async def suggest_models(
    session: AsyncSession, part: str, asker_id: int, guild_id: int | None, limit: int, roles: Collection[int] = ()
) -> Sequence[Model]:
    """Return some of those whose names, folded as `part` is, hold it: those that begin with it, then the asker's own.

    People wait for this letter by letter, and a server may share thousands. Of each there is what a choice says.
    """
    asked = asked_by(asker_id, guild_id, roles) | {"part": _escaped(part), "most": limit}
    return (await session.scalars(SUGGESTED, asked)).all()


async def usable_models(
    session: AsyncSession, asker_id: int, guild_id: int | None, roles: Collection[int] = ()
) -> Sequence[Model]:
    """Return the models that this person may draw with here: their own first, then those shared, by name.

    Public ones are too many for that; they are drawn with where they are chosen.
    """
    return (await session.scalars(USABLE, asked_by(asker_id, guild_id, roles))).all()


async def models_named(
    session: AsyncSession, said: str, asker_id: int, guild_id: int | None, roles: Collection[int] = ()
) -> Sequence[Model]:
    """Return the models whose names stand somewhere in what was said, folded as names are: usable ones first.

    Those are what the person may draw with here, and their own that cannot be drawn with yet. A name that only stands
    inside another word is among them.
    """
    return (await session.scalars(NAMED, asked_by(asker_id, guild_id, roles) | {"said": said})).all()


def asked_by(asker_id: int, guild_id: int | None, roles: Collection[int]) -> dict[str, Any]:
    """Return what a statement with `ASKER`, `HERE` and `ROLES` is run with."""
    return {"asker": asker_id, "here": guild_id, "roles": list(roles)}


def _escaped(part: str) -> str:
    """Return what LIKE takes for these very characters."""
    return "".join(ESCAPE + each if each in {ESCAPE, "%", "_"} else each for each in part)


async def own_models(session: AsyncSession, owner_id: int, offset: int, limit: int) -> Sequence[Model]:
    """Return a person's models in every status, the newest first."""
    query = select(Model).where(_own(owner_id)).order_by(Model.created_at.desc(), Model.id)
    return (await session.scalars(query.offset(offset).limit(limit))).all()


async def find_model(
    session: AsyncSession, model_id: str, asker_id: int, guild_id: int | None, roles: Collection[int] = ()
) -> Model:
    """Return a model of the asker's own, in any status, or one that they may use here. Raises `ModelNotFound`."""
    mine_or_open = or_(_own(asker_id), _shared_with(guild_id), given_to(asker_id, roles), _public())
    query = select(Model).where(Model.id == model_id, mine_or_open)
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


def check_up(model: Model) -> None:
    """Raises `ModelTakenDown`."""
    if model.status is ModelStatus.TAKEN_DOWN:
        raise ModelTakenDown(model.name)


async def model_of(session: AsyncSession, job: Job) -> Model | None:
    """Return the model that a job trains or draws with, even when it is deleted by now; None for the plain base."""
    return None if job.model_id is None else await session.get(Model, job.model_id)


def draws_with(model_id: str) -> ColumnElement[bool]:
    """Tell in a query whether a `Job` has to do with a model, be it as the second of two."""
    beside = select(SecondSubject.job_id).where(SecondSubject.model_id == model_id)
    return or_(Job.model_id == model_id, Job.id.in_(beside))


async def second_model_of(session: AsyncSession, job: Job) -> Model | None:
    """Return the model whose subject stands beside that of the job's own, if there is one."""
    query = select(Model).join(SecondSubject, SecondSubject.model_id == Model.id)
    return (await session.scalars(query.where(SecondSubject.job_id == job.id))).one_or_none()


async def check_name_free(session: AsyncSession, owner_id: int, name: str) -> None:
    """Raises `NameTaken` unless the owner may call a new model so. A failed training gives its name up."""
    holder = await _holder(session, owner_id, name)
    if holder is not None and holder.status is not ModelStatus.FAILED:
        raise NameTaken(holder.name)


async def find_to_train_again(
    session: AsyncSession, owner_id: int, name: str, class_noun: str, base: str
) -> Model | None:
    """Return the owner's model of this name if photos of the same class can make another version of it."""
    model = await _holder(session, owner_id, name)
    if model is None or (model.class_noun, model.base) != (class_noun, base):
        return None
    return model if model.status is ModelStatus.READY else None


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


async def share_with_people(session: AsyncSession, model_id: str, owner_id: int, people: Collection[int]) -> Model:
    """Let these people draw with the model wherever they are, and nobody else by name.

    Raises `ModelNotFound`, `ModelNotReady`.
    """
    model = await find_own_model(session, model_id, owner_id)
    if model.status is not ModelStatus.READY:
        raise ModelNotReady(model.name)
    await session.execute(delete(Share).where(Share.model_id == model.id))
    session.add_all(Share(model_id=model.id, person_id=person) for person in sorted({*people} - {owner_id}))
    return model


async def people_shared_with(session: AsyncSession, model_id: str) -> Sequence[int]:
    query = select(Share.person_id).where(Share.model_id == model_id).order_by(Share.person_id)
    return (await session.scalars(query)).all()


async def share_with_roles(
    session: AsyncSession, model_id: str, owner_id: int, guild_id: int, roles: Collection[int]
) -> Model:
    """Let whoever has one of these roles draw with the model in their server, and nobody else there by a role.

    Raises `ModelNotFound`, `ModelNotReady`.
    """
    model = await find_own_model(session, model_id, owner_id)
    if model.status is not ModelStatus.READY:
        raise ModelNotReady(model.name)
    await session.execute(delete(RoleShare).where(RoleShare.model_id == model.id, RoleShare.guild_id == guild_id))
    session.add_all(RoleShare(model_id=model.id, role_id=role, guild_id=guild_id) for role in sorted({*roles}))
    return model


async def roles_shared_with(session: AsyncSession, model_id: str, guild_id: int | None) -> Sequence[int]:
    """Return the roles of a server that may draw with the model."""
    query = select(RoleShare.role_id).where(RoleShare.model_id == model_id, RoleShare.guild_id == guild_id)
    return (await session.scalars(query.order_by(RoleShare.role_id))).all()


async def publish_model(session: AsyncSession, model_id: str, owner_id: int, at: datetime | None) -> Model:
    """Let anybody draw with the model from now on; `None` ends that. Raises `ModelNotFound`, `ModelNotReady`."""
    model = await find_own_model(session, model_id, owner_id)
    if model.status is not ModelStatus.READY:
        raise ModelNotReady(model.name)
    model.public_at = at
    return model


async def transfer_model(session: AsyncSession, model_id: str, owner_id: int, heir_id: int, at: datetime) -> Model:
    """Give the model to somebody who wants it: theirs alone from now on. The former owner may do it once.

    Raises `ModelNotFound`, `ModelNotReady`, `NameTaken`.
    """
    model = await find_own_model(session, model_id, owner_id)
    if model.status is not ModelStatus.READY or await _learns(session, model):
        raise ModelNotReady(model.name)
    await ensure_owner(session, heir_id, at)
    await free_name(session, heir_id, model.name, at)
    await _end_shares(session, model)
    model.owner_id, model.shared_guild_id, model.public_at = heir_id, None, None
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
    Also one that its owner could still take back. Raises `ModelNotFound`.
    """
    kept = or_(Model.deleted_at.is_(None), Model.erase_at.is_not(None))
    query = select(Model).where(Model.id == model_id, Model.owner_id == owner_id, kept).with_for_update()
    model = (await session.scalars(query)).one_or_none()
    if model is None:
        raise ModelNotFound
    keys = [key for key in (model.adapter_key, model.download_key, model.cover_key) if key is not None]
    for table in (Photo, Image):
        keys += await session.scalars(delete(table).where(table.model_id == model.id).returning(table.key))
    drawn_by = select(Job.id).where(draws_with(model.id))
    keys += await session.scalars(delete(Image).where(Image.job_id.in_(drawn_by)).returning(Image.key))
    keys += await delete_variants(session, model.id)
    jobs = (await session.scalars(select(Job).where(draws_with(model.id)).with_for_update())).all()
    for job in jobs:
        if job.sample_key is not None:
            keys.append(job.sample_key)
            job.sample_key = None
            await touch_card(session, job.id, at, at_once=True)
        if not job.state.ended:
            await stop_job(session, job, at)
        keys += brought_with(job)
        strike_prompt(job)
    await forget_words(session, [job.id for job in jobs])
    model.adapter_key = model.adapter_digest = model.download_key = model.download_digest = model.cover_key = None
    await _end_shares(session, model)
    model.shared_guild_id = model.public_at = model.erase_at = None
    model.deleted_at = at
    model.name, model.name_key = DELETED_NAME, ""
    return sorted(set(keys))


async def _end_shares(session: AsyncSession, model: Model) -> None:
    """Nobody may draw with the model by name or role any more."""
    for table in (Share, RoleShare):
        await session.execute(delete(table).where(table.model_id == model.id))


async def _learns(session: AsyncSession, model: Model) -> bool:
    """Tell whether a training of the model is under way."""
    query = select(Job.id).where(Job.model_id == model.id, Job.kind == JobKind.TRAIN, Job.state.in_(ACTIVE))
    return (await session.scalars(query)).first() is not None


async def _holder(session: AsyncSession, owner_id: int, name: str) -> Model | None:
    query = select(Model).where(_own(owner_id), Model.name_key == name_key(name))
    return (await session.scalars(query)).one_or_none()
