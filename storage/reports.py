"""What people found harmful, for those who run the bot to look into."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.database import insert_new
from storage.schema import Report

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


async def latest_reports(session: AsyncSession, limit: int) -> Sequence[Report]:
    """Return the newest first."""
    return (await session.scalars(select(Report).order_by(Report.at.desc()).limit(limit))).all()
