"""What people found harmful, for those who run the bot to look into."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.database import insert_new
from storage.errors import NotYourJob, ReportSettled
from storage.schema import Job, Report

MAX_NOTE_CHARS = 500


class Reason(StrEnum):
    PERSON = "person"
    """It shows somebody who did not agree."""
    SEXUAL = "sexual"
    MINOR = "minor"
    HATE = "hate"
    OTHER = "other"


async def add_report(
    session: AsyncSession, job_id: str, reporter_id: int, reason: Reason, note: str, at: datetime
) -> bool:
    """Returns False when this person has reported the card before; the first report counts."""
    return await insert_new(
        session, Report, job_id=job_id, reporter_id=reporter_id, reason=reason, note=note[:MAX_NOTE_CHARS], at=at
    )


class Verdict(StrEnum):
    """What an operator decided about a card that was reported."""

    DISMISSED = "dismissed"
    REMOVED = "removed"
    """Its pictures are deleted."""
    TAKEN_DOWN = "taken down"
    """Its pictures are deleted, and nobody may use the model that drew them."""
    BLOCKED = "blocked"
    """Its pictures are deleted, and whoever asked for them may make nothing any more."""


@dataclass(frozen=True)
class Case:
    """A card with all open reports about it, the first one first."""

    job: Job
    reports: Sequence[Report]


async def count_cases(session: AsyncSession) -> int:
    return await session.scalar(select(func.count(Report.job_id.distinct())).where(_OPEN)) or 0


async def open_cases(session: AsyncSession, offset: int, limit: int) -> Sequence[Case]:
    """Return a page of the cards that nobody has decided about, those that have waited longest first."""
    query = select(Report.job_id).where(_OPEN).group_by(Report.job_id).order_by(func.min(Report.at), Report.job_id)
    job_ids = (await session.scalars(query.offset(offset).limit(limit))).all()
    return [Case(await session.get_one(Job, job_id), await _reports_about(session, job_id)) for job_id in job_ids]


async def settle(session: AsyncSession, job_id: str, verdict: Verdict, by_id: int, at: datetime) -> Case:
    """Decide about a card, once. Raises `ReportSettled`, or `NotYourJob` when nobody has reported it."""
    job = await session.get(Job, job_id, with_for_update=True)
    if job is None:
        raise NotYourJob
    reports = await _reports_about(session, job_id)
    if not reports:
        last = select(Report).where(Report.job_id == job_id).order_by(Report.settled_at.desc()).limit(1)
        settled = await session.scalar(last)
        if settled is None or settled.settled_by is None:
            raise NotYourJob
        raise ReportSettled(settled.settled_by, str(settled.verdict))
    for report in reports:
        report.verdict, report.settled_by, report.settled_at = verdict, by_id, at
    return Case(job, reports)


async def _reports_about(session: AsyncSession, job_id: str) -> Sequence[Report]:
    query = select(Report).where(Report.job_id == job_id, _OPEN).order_by(Report.at, Report.reporter_id)
    return (await session.scalars(query)).all()


_OPEN = Report.verdict.is_(None)
