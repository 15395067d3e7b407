"""Models that are deleted and could still be taken back, for a day."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.errors import ModelNotFound, ModelNotReady
from storage.model_names import check_name_free
from storage.models import draws_with, find_own_model
from storage.outcomes import stop_job
from storage.schema import ACTIVE, Job, Model, ModelStatus

UNDO_LIFE = timedelta(days=1)
MOST_SHOWN = 25


async def bin_model(session: AsyncSession, model_id: str, owner_id: int, at: datetime) -> Model:
    """Take the model out of everybody's sight; nothing is erased before `UNDO_LIFE` is over.

    Raises `ModelNotFound`, and `ModelNotReady` for one with nothing to bring back.
    """
    model = await find_own_model(session, model_id, owner_id)
    if model.status is not ModelStatus.READY:
        raise ModelNotReady(model.name)
    for job in await session.scalars(select(Job).where(draws_with(model.id), Job.state.in_(ACTIVE))):
        await stop_job(session, job, at)
    model.deleted_at, model.erase_at = at, at + UNDO_LIFE
    return model


async def take_back(session: AsyncSession, model_id: str, owner_id: int) -> Model:
    """Bring a model back as it was, shared as it was. Raises `ModelNotFound`, `NameTaken`."""
    query = select(Model).where(Model.id == model_id, Model.owner_id == owner_id, Model.erase_at.is_not(None))
    model = (await session.scalars(query.with_for_update())).one_or_none()
    if model is None:
        raise ModelNotFound
    await check_name_free(session, owner_id, model.name)
    model.deleted_at = model.erase_at = None
    return model


async def binned_models(session: AsyncSession, owner_id: int) -> Sequence[Model]:
    """Return what a person could take back, what was deleted last first."""
    query = select(Model).where(Model.owner_id == owner_id, Model.erase_at.is_not(None))
    return (await session.scalars(query.order_by(Model.erase_at.desc()).limit(MOST_SHOWN))).all()


async def overdue_models(session: AsyncSession, at: datetime, limit: int) -> Sequence[Model]:
    """Return the models whose day is over."""
    return (await session.scalars(select(Model).where(Model.erase_at <= at).limit(limit))).all()
