"""Who beside its owner may draw with a model, and whose it becomes."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import JobKind
from storage.errors import ModelNotReady
from storage.model_names import free_name
from storage.models import find_own_model
from storage.people import ensure_owner
from storage.schema import ACTIVE, Job, Model, ModelStatus, RoleShare, Share


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
    await end_shares(session, model)
    model.owner_id, model.shared_guild_id, model.public_at = heir_id, None, None
    return model


async def end_shares(session: AsyncSession, model: Model) -> None:
    """Nobody may draw with the model by name or role any more."""
    for table in (Share, RoleShare):
        await session.execute(delete(table).where(table.model_id == model.id))


async def _learns(session: AsyncSession, model: Model) -> bool:
    """Tell whether a training of the model is under way."""
    query = select(Job.id).where(Job.model_id == model.id, Job.kind == JobKind.TRAIN, Job.state.in_(ACTIVE))
    return (await session.scalars(query)).first() is not None
