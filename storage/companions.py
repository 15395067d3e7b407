"""Which jobs stand on one card. The first of a set has the card; the others are its companions."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from storage.schema import ACTIVE, Companion, Job


async def lead_of(session: AsyncSession, job_id: str) -> str:
    """Return the job whose card shows this one: its own, unless it is a companion."""
    companion = await session.get(Companion, job_id)
    return job_id if companion is None else companion.lead_id


async def members(session: AsyncSession, lead_id: str) -> Sequence[Job]:
    """Return the jobs on a card in their order; of an ordinary job, that one alone."""
    query = select(Job).join(Companion, Companion.job_id == Job.id).where(Companion.lead_id == lead_id)
    companions = (await session.scalars(query.order_by(Companion.position))).all()
    return [await session.get_one(Job, lead_id), *companions]


def goes_on() -> ColumnElement[bool]:
    """Tell in a query whether a `Job`, or one of its companions, has not ended."""
    other = aliased(Job)
    companions = exists().where(Companion.lead_id == Job.id, other.id == Companion.job_id, other.state.in_(ACTIVE))
    return or_(Job.state.in_(ACTIVE), companions.correlate(Job))
