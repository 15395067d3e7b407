"""What every job that is promised is written down with: its charge, its outbox row, and its card."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from storage.deliveries import POST_GRACE
from storage.faults import reach
from storage.outcomes import next_release
from storage.quotas import charge
from storage.schema import Delivery, DeliveryKind, Job

NO_LIMIT = None


async def add_job(session: AsyncSession, job: Job, at: datetime) -> None:
    session.add(job)
    await session.flush()
    charge(session, job, at)
    session.add(next_release(job, at))
    reach("job.written")


def add_card(session: AsyncSession, job: Job, at: datetime, webhook_token: str | None = None) -> None:
    """Owe the job's owner a message that shows it."""
    session.add(
        Delivery(
            job_id=job.id,
            kind=DeliveryKind.CARD,
            channel_id=job.channel_id,
            owner_id=job.owner_id,
            not_before=at + POST_GRACE,
            updated_at=at,
            webhook_token=webhook_token,
        )
    )
