"""Trainings that are ready to begin but for their owner's word, or for the photos that a form is to bring."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.people import ensure_owner
from storage.schema import Draft
from storage.trainings import NewTraining

TRAINING: TypeAdapter[NewTraining] = TypeAdapter(NewTraining)


async def keep_draft(session: AsyncSession, new: NewTraining, at: datetime) -> None:
    await ensure_owner(session, new.owner_id, at)
    training = TRAINING.dump_python(new, mode="json")
    session.add(Draft(id=new.job, owner_id=new.owner_id, training=training, created_at=at))


async def find_draft(session: AsyncSession, draft_id: str, owner_id: int) -> NewTraining | None:
    """Return the owner's draft, which stays; None when there is none, or it is somebody else's."""
    query = select(Draft.training).where(Draft.id == draft_id, Draft.owner_id == owner_id)
    training = (await session.scalars(query)).one_or_none()
    return None if training is None else TRAINING.validate_python(training)


async def take_draft(session: AsyncSession, draft_id: str, owner_id: int) -> NewTraining | None:
    """Remove the owner's draft and return it; None when there is none, or it is somebody else's."""
    query = delete(Draft).where(Draft.id == draft_id, Draft.owner_id == owner_id).returning(Draft.training)
    training = (await session.scalars(query)).one_or_none()
    return None if training is None else TRAINING.validate_python(training)


async def drafts_before(session: AsyncSession, moment: datetime, limit: int = 100) -> Sequence[NewTraining]:
    """Return drafts that were made before the moment, the oldest first."""
    query = select(Draft.training).where(Draft.created_at < moment).order_by(Draft.created_at, Draft.id)
    return [TRAINING.validate_python(training) for training in (await session.scalars(query.limit(limit))).all()]
