"""What a model may be called: of its owner's models only one has a name."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.errors import NameTaken
from storage.models import find_own_model, owned_by
from storage.names import name_key, validate_name
from storage.schema import Model, ModelStatus


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


async def _holder(session: AsyncSession, owner_id: int, name: str) -> Model | None:
    query = select(Model).where(owned_by(owner_id), Model.name_key == name_key(name))
    return (await session.scalars(query)).one_or_none()
