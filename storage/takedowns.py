"""Models that those who run the bot take out of everybody's use, and give back."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.errors import ModelNotFound
from storage.models import draws_with
from storage.names import name_key
from storage.outcomes import stop_job
from storage.schema import ACTIVE, Job, Model, ModelStatus, Takedown


async def take_down(
    session: AsyncSession, model_id: str, operator_id: int, words: str, at: datetime
) -> tuple[Model, Sequence[Job]]:
    """Let nobody use the model; returns it and its jobs, which are stopped. Raises `ModelNotFound`.

    Its owner sees that, and may delete it. Taken down once more, it keeps the first reason.
    """
    model = await _there(session, model_id)
    if model.status is ModelStatus.TAKEN_DOWN:
        return model, []
    session.add(Takedown(model_id=model.id, words=words, operator_id=operator_id, at=at))
    model.status = ModelStatus.TAKEN_DOWN
    query = select(Job).where(draws_with(model.id), Job.state.in_(ACTIVE))
    jobs = (await session.scalars(query.with_for_update())).all()
    for job in jobs:
        await stop_job(session, job, at)
    return model, jobs


async def restore(session: AsyncSession, model_id: str) -> Model:
    """Let the model be used again as it was. Raises `ModelNotFound` for one that is not taken down."""
    model = await _there(session, model_id)
    takedown = await session.get(Takedown, model_id)
    if takedown is None:
        raise ModelNotFound
    await session.delete(takedown)
    model.status = ModelStatus.FAILED if model.adapter_key is None else ModelStatus.READY
    return model


async def takedown_of(session: AsyncSession, model_id: str) -> Takedown | None:
    return await session.get(Takedown, model_id)


async def suggest_for_operators(
    session: AsyncSession, typed: str, limit: int, *, taken_down: bool = False
) -> Sequence[Model]:
    """Return anybody's models that can be taken down, or given back, whose names hold what was typed."""
    status = Model.status == ModelStatus.TAKEN_DOWN
    query = select(Model).where(status if taken_down else ~status, Model.deleted_at.is_(None))
    if typed:
        found = Model.name_key.contains(name_key(typed), autoescape=True)
        query = query.where(or_(found, Model.id == typed))
    return (await session.scalars(query.order_by(Model.created_at.desc()).limit(limit))).all()


async def _there(session: AsyncSession, model_id: str) -> Model:
    """Return a model that is not erased, for the transaction to change."""
    kept = or_(Model.deleted_at.is_(None), Model.erase_at.is_not(None))
    model = await session.scalar(select(Model).where(Model.id == model_id, kept).with_for_update())
    if model is None:
        raise ModelNotFound
    return model
