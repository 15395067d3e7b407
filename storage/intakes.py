"""Who waits for their photos to be taken in, so that the next run can tell them if this one dies."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema import Intake, Job


def begin_intake(
    session: AsyncSession, interaction_id: int, token: str, at: datetime, locale: str | None = None
) -> None:
    session.add(Intake(interaction_id=interaction_id, token=token, at=at, locale=locale))


async def end_intake(session: AsyncSession, interaction_id: int) -> None:
    await session.execute(delete(Intake).where(Intake.interaction_id == interaction_id))


async def open_intakes(session: AsyncSession) -> Sequence[Intake]:
    return (await session.scalars(select(Intake).order_by(Intake.interaction_id))).all()


async def is_promised(session: AsyncSession, interaction_id: int) -> bool:
    """Tell whether the interaction has become a job."""
    return bool(await session.scalar(select(exists().where(Job.interaction_id == interaction_id))))
