"""Which jobs stand on one card. The first of a set has the card; the others are its companions."""

from collections.abc import Collection, Sequence
from functools import cache

from sqlalchemy import ColumnElement, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from storage.schema import ACTIVE, Companion, Job, PictureSet


async def lead_of(session: AsyncSession, job_id: str) -> str:
    """Return the job whose card shows this one: its own, unless it is a companion."""
    companion = await session.get(Companion, job_id)
    return job_id if companion is None else companion.lead_id


async def members(session: AsyncSession, lead_id: str) -> Sequence[Job]:
    """Return the jobs on a card in their order; of an ordinary job, that one alone."""
    query = select(Job).join(Companion, Companion.job_id == Job.id).where(Companion.lead_id == lead_id)
    companions = (await session.scalars(query.order_by(Companion.position))).all()
    return [await session.get_one(Job, lead_id), *companions]


async def forget_words(session: AsyncSession, job_ids: Collection[str]) -> None:
    """Strike what was typed for the sets that these jobs belong to."""
    leads = select(Companion.lead_id).where(Companion.job_id.in_(job_ids))
    theirs = or_(PictureSet.job_id.in_(job_ids), PictureSet.job_id.in_(leads))
    await session.execute(update(PictureSet).where(theirs).values(words=None))


@cache
def goes_on() -> ColumnElement[bool]:
    """Tell in a query whether a `Job`, or one of its companions, has not ended."""
    other = aliased(Job)
    companions = exists().where(Companion.lead_id == Job.id, other.id == Companion.job_id, other.state.in_(ACTIVE))
    return or_(Job.state.in_(ACTIVE), companions.correlate(Job))
