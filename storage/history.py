"""What a person has asked for lately, and where each outcome stands: nothing that was made is out of reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Integer, and_, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from storage.companions import members
from storage.contract import JobKind
from storage.errors import NotYourJob
from storage.jobs import queue_place
from storage.models import model_of
from storage.quotas import OUTCOME
from storage.schema import (
    ACTIVE,
    OPEN,
    Charge,
    Companion,
    Delivery,
    DeliveryKind,
    DeliveryProblem,
    DeliveryState,
    Image,
    Job,
    JobState,
    Model,
    PictureSet,
)

HISTORY = timedelta(days=14)
"""How far back a person's list goes; a job that has not ended is on it however old it is."""


MOST = bindparam("most", type_=Integer)
LATELY = and_(
    Job.owner_id == bindparam("owner"),
    Job.id.not_in(select(Companion.job_id)),
    or_(Job.created_at > bindparam("since"), Job.state.in_(ACTIVE)),
)
HOW_MANY = select(func.count()).select_from(Job).where(LATELY)
RECENT = (
    select(Job)
    .where(LATELY)
    .order_by(Job.created_at.desc(), Job.id)
    .offset(bindparam("first", type_=Integer))
    .limit(MOST)
)
FINISHED = (
    select(Job)
    .where(Job.state == JobState.SUCCEEDED, Job.kind == bindparam("what"), Job.base == bindparam("on"))
    .options(load_only(Job.request, Job.steps, Job.seconds, raiseload=True))
    .order_by(Job.created_at.desc())
    .limit(MOST)
)


@dataclass(frozen=True, kw_only=True)
class Message:
    """Where Discord shows something of a job."""

    guild_id: int | None
    channel_id: int
    message_id: int

    @property
    def address(self) -> str:
        """The link that opens it in Discord."""
        return f"https://discord.com/channels/{self.guild_id or '@me'}/{self.channel_id}/{self.message_id}"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One job as its owner sees it in their list."""

    job: Job
    model: Model | None
    place: int
    """In the queue, counting from 1; 0 for what no longer waits."""
    pictures: int
    """How many pictures of it are kept."""
    jobs: Sequence[Job]
    """All of its set; it alone where it was asked for alone."""
    words: str | None
    """What was typed for it."""
    message: Message | None
    """Where its outcome stands, or its card until then."""
    direct: bool
    """That message went to the person directly, for the channel was out of reach."""
    problem: DeliveryProblem | None
    """Why there is no message that tells of the outcome."""
    refunded: bool


async def own_job(session: AsyncSession, job_id: str, asker_id: int) -> Job:
    """Raises `NotYourJob`, whether the job is somebody else's or none."""
    job = await session.get(Job, job_id)
    if job is None or job.owner_id != asker_id:
        raise NotYourJob
    return job


async def message_of(session: AsyncSession, job_id: str) -> Message | None:
    """Return where the card of a job stands, if others can be led there."""
    job = await session.get(Job, job_id)
    card = await session.scalar(select(Delivery).where(Delivery.job_id == job_id, Delivery.kind == DeliveryKind.CARD))
    return None if job is None or card is None or card.direct else _message(job, [card])


async def count_jobs(session: AsyncSession, owner_id: int, at: datetime) -> int:
    return await session.scalar(HOW_MANY, {"owner": owner_id, "since": at - HISTORY}) or 0


async def finished_trainings(session: AsyncSession, base: str, limit: int = 50) -> Sequence[Job]:
    """Return trainings on this base that came to their end, the newest first."""
    return (await session.scalars(FINISHED, {"what": JobKind.TRAIN, "on": base, "most": limit})).all()


async def finished_imaginings(session: AsyncSession, base: str, limit: int = 20) -> Sequence[Job]:
    """Return requests for pictures of this base that came to their end, the newest first."""
    return (await session.scalars(FINISHED, {"what": JobKind.IMAGINE, "on": base, "most": limit})).all()


async def count_active_trainings(session: AsyncSession, base: str) -> int:
    query = select(func.count()).select_from(Job)
    return await session.scalar(query.where(OPEN, Job.kind == JobKind.TRAIN, Job.base == base)) or 0


async def list_jobs(session: AsyncSession, owner_id: int, at: datetime, offset: int, limit: int) -> list[Entry]:
    """Return a page of the person's jobs, the newest first."""
    asked = {"owner": owner_id, "since": at - HISTORY, "first": offset, "most": limit}
    return [await _entry(session, job) for job in await session.scalars(RECENT, asked)]


async def _words(session: AsyncSession, job: Job) -> str | None:
    together = await session.get(PictureSet, job.id)
    return job.prompt_shown if together is None or together.words is None else together.words


async def _count_pictures(session: AsyncSession, jobs: Sequence[Job]) -> int:
    theirs = Image.job_id.in_([job.id for job in jobs])
    return await session.scalar(select(func.count()).select_from(Image).where(theirs)) or 0


async def _entry(session: AsyncSession, job: Job) -> Entry:
    query = select(Delivery).where(Delivery.job_id == job.id)
    deliveries = {delivery.kind: delivery for delivery in await session.scalars(query)}
    outcome = deliveries.get(OUTCOME[job.kind])
    charge = await session.get(Charge, job.id)
    jobs = await members(session, job.id)
    return Entry(
        job=job,
        model=await model_of(session, job),
        place=await queue_place(session, job),
        pictures=await _count_pictures(session, jobs),
        jobs=jobs,
        words=await _words(session, job),
        message=_message(job, [outcome, deliveries.get(DeliveryKind.CARD)]),
        direct=outcome is not None and outcome.direct,
        problem=outcome.problem if outcome is not None and outcome.state is DeliveryState.UNDELIVERABLE else None,
        refunded=charge is not None and charge.refunded_at is not None,
    )


def _message(job: Job, deliveries: Sequence[Delivery | None]) -> Message | None:
    """Return the first message that stands; nobody can be led to a private reply."""
    for delivery in deliveries:
        if delivery is None or delivery.state is not DeliveryState.SENT or delivery.message_id is None:
            continue
        if job.private and not delivery.direct:
            continue
        guild_id = None if delivery.direct else job.guild_id
        return Message(guild_id=guild_id, channel_id=delivery.channel_id, message_id=delivery.message_id)
    return None
