"""What the bot has done lately, day by day: pictures, trainings, people, the workers' time, failures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import JobKind
from storage.schema import Charge, Job, JobState

DAYS = 14


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of what was asked for in a stretch of time and has come to its end; people count as soon as they ask."""

    pictures: int
    trainings: int
    people: int
    gpu_seconds: float
    failures: int


@dataclass(frozen=True)
class Day:
    date: date
    """In UTC."""
    figures: Figures


async def last_days(session: AsyncSession, at: datetime, guild_id: int | None = None) -> tuple[Sequence[Day], Figures]:
    """Return the last `DAYS` days, today last, and all of them together; of one server, or of all."""
    today = at.replace(hour=0, minute=0, second=0, microsecond=0)
    begins = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    days = [Day(begin.date(), await _figures(session, begin, begin + timedelta(days=1), guild_id)) for begin in begins]
    return days, await _figures(session, begins[0], today + timedelta(days=1), guild_id)


async def _figures(session: AsyncSession, begin: datetime, end: datetime, guild_id: int | None) -> Figures:
    within = _within(begin, end, guild_id)
    amount, seconds = func.coalesce(func.sum(Charge.amount), 0), func.coalesce(func.sum(Job.seconds), 0.0)
    query = select(Job.kind, Job.state, func.count(), amount, seconds).join(Charge, Charge.job_id == Job.id)
    rows = (await session.execute(query.where(*within).group_by(Job.kind, Job.state))).all()
    succeeded = {
        kind: (int(made), float(took or 0)) for kind, state, _, made, took in rows if state is JobState.SUCCEEDED
    }
    return Figures(
        pictures=succeeded.get(JobKind.IMAGINE, (0, 0.0))[0],
        trainings=succeeded.get(JobKind.TRAIN, (0, 0.0))[0],
        people=await session.scalar(select(func.count(Job.owner_id.distinct())).where(*within)) or 0,
        gpu_seconds=sum(took for _, took in succeeded.values()),
        failures=sum(count for _, state, count, *_ in rows if state is JobState.FAILED),
    )


def _within(begin: datetime, end: datetime, guild_id: int | None) -> list[ColumnElement[bool]]:
    """All kinds are named, because the index begins with them."""
    here = [] if guild_id is None else [Job.guild_id == guild_id]
    return [Job.kind.in_(list(JobKind)), Job.created_at >= begin, Job.created_at < end, *here]
