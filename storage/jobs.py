"""People's requests once they are accepted: looked up, their place in line, cancelled."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, bindparam, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.companions import lead_of, members
from storage.contract import Variant
from storage.errors import JobAlreadyEnded, NotYourJob
from storage.leftovers import brought_with, strike_prompt
from storage.outcomes import stop_job
from storage.schema import ACTIVE, OPEN, WAITING, Image, Job

# Written once, for they are asked at every request.
AT_OWN_TIME = and_(Job.created_at == bindparam("own_time"), Job.id < bindparam("own_id"))
EARLIER = (
    select(func.count())
    .select_from(Job)
    .where(Job.kind == bindparam("own_kind"), Job.base == bindparam("own_base"), OPEN, Job.state.in_(WAITING))
    .where(or_(Job.created_at < bindparam("own_time"), AT_OWN_TIME))
)
OF_INTERACTION = select(Job).where(Job.interaction_id == bindparam("number"))
PICTURES = (
    select(Image)
    .where(Image.job_id == bindparam("job"), Image.variant == bindparam("drawn_by"))
    .order_by(Image.position)
)


async def find_job(session: AsyncSession, job_id: str) -> Job | None:
    return await session.get(Job, job_id)


async def job_of_interaction(session: AsyncSession, interaction_id: int) -> Job | None:
    return (await session.scalars(OF_INTERACTION, {"number": interaction_id})).one_or_none()


async def active_jobs(session: AsyncSession, owner_id: int) -> Sequence[Job]:
    """Return the person's jobs that have not ended, the oldest first."""
    query = select(Job).where(Job.owner_id == owner_id, Job.state.in_(ACTIVE))
    return (await session.scalars(query.order_by(Job.created_at, Job.id))).all()


async def active_requests(session: AsyncSession, owner_id: int) -> Sequence[Job]:
    """Return what the person has under way, the oldest first: of each set the job that has the card."""
    leads = dict.fromkeys([await lead_of(session, job.id) for job in await active_jobs(session, owner_id)])
    return [await session.get_one(Job, lead) for lead in leads]


async def queue_place(session: AsyncSession, job: Job) -> int:
    """Return 1 for the job that comes next of its kind, and 0 for one that no longer waits."""
    if job.state not in WAITING:
        return 0
    own = {"own_kind": job.kind, "own_base": job.base, "own_time": job.created_at, "own_id": job.id}
    return 1 + (await session.scalar(EARLIER, own) or 0)


async def request_cancel(session: AsyncSession, job_id: str, asker_id: int, at: datetime) -> Job:
    """Cancel at once what no worker has; ask for the rest. Raises `NotYourJob`, `JobAlreadyEnded`.

    Of a set all is stopped; the job that is returned is one that had not ended.
    """
    job = await session.get(Job, job_id, with_for_update=True)
    if job is None or job.owner_id != asker_id:
        raise NotYourJob
    active = [each for each in await members(session, job_id) if not each.state.ended]
    if not active:
        raise JobAlreadyEnded(job.state)
    for each in active:
        await stop_job(session, each, at)
    return active[0]


async def pictures_of(session: AsyncSession, job_id: str, variant: Variant = Variant.BEST) -> Sequence[Image]:
    """Return what the job drew, in its order; of a training the samples of one variant."""
    return (await session.scalars(PICTURES, {"job": job_id, "drawn_by": variant})).all()


async def delete_pictures(session: AsyncSession, job_id: str) -> list[str]:
    """Forget what the job drew, and the words for it; return the keys of the blobs to delete after the commit."""
    job = await session.get_one(Job, job_id, with_for_update=True)
    brought = brought_with(job)
    strike_prompt(job)
    return [*brought, *await session.scalars(delete(Image).where(Image.job_id == job_id).returning(Image.key))]
