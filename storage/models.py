"""People's models: which there are for whom, and what jobs have to do with them."""

from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import BigInteger, BindParameter, ColumnElement, Integer, String, and_, bindparam, false, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from storage.contract import JobKind
from storage.errors import ModelNotFound, ModelTakenDown
from storage.schema import Image, Job, Model, ModelStatus, RoleShare, SecondSubject, Share

Number = int | BindParameter[int]
"""A number, or the place for it in a statement that is written once: to write one anew takes longer than to run it."""
ASKER: BindParameter[int] = bindparam("asker", type_=BigInteger)
HERE: BindParameter[int] = bindparam("here", type_=BigInteger)
ROLES: BindParameter[Any] = bindparam("roles", expanding=True)
ESCAPE = "/"


def owned_by(owner_id: Number) -> ColumnElement[bool]:
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


MINE_READY = and_(owned_by(ASKER), Model.status == ModelStatus.READY)
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
    .where(or_(owned_by(ASKER), SHARED), SAID.contains(Model.name_key))
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
    query = select(Model).where(owned_by(owner_id)).order_by(Model.created_at.desc(), Model.id)
    return (await session.scalars(query.offset(offset).limit(limit))).all()


async def find_model(
    session: AsyncSession, model_id: str, asker_id: int, guild_id: int | None, roles: Collection[int] = ()
) -> Model:
    """Return a model of the asker's own, in any status, or one that they may use here. Raises `ModelNotFound`."""
    mine_or_open = or_(owned_by(asker_id), _shared_with(guild_id), given_to(asker_id, roles), _public())
    query = select(Model).where(Model.id == model_id, mine_or_open)
    model = (await session.scalars(query)).one_or_none()
    if model is None:
        raise ModelNotFound
    return model


async def find_own_model(session: AsyncSession, model_id: str, owner_id: int) -> Model:
    """Return the model, which the transaction then may change. Raises `ModelNotFound`."""
    query = select(Model).where(Model.id == model_id, owned_by(owner_id)).with_for_update()
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


async def second_model_of(session: AsyncSession, job: Job) -> Model | None:
    """Return the model whose subject stands beside that of the job's own, if there is one."""
    query = select(Model).join(SecondSubject, SecondSubject.model_id == Model.id)
    return (await session.scalars(query.where(SecondSubject.job_id == job.id))).one_or_none()


def draws_with(model_id: str) -> ColumnElement[bool]:
    """Tell in a query whether a `Job` has to do with a model, be it as the second of two."""
    beside = select(SecondSubject.job_id).where(SecondSubject.model_id == model_id)
    return or_(Job.model_id == model_id, Job.id.in_(beside))


async def trainings_of(session: AsyncSession, model_id: str) -> Sequence[str]:
    """Return the ids of the jobs that trained the model."""
    return (await session.scalars(select(Job.id).where(Job.model_id == model_id, Job.kind == JobKind.TRAIN))).all()


def cover_key(model_id: str, image: Image) -> str:
    """Name the copy of a picture that stands for a model: it stays when the picture itself is deleted."""
    return f"models/{model_id}/{image.job_id}/cover-{image.id}{PurePosixPath(image.key).suffix}"
