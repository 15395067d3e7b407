"""What a person has used: pictures, trainings, and the workers' time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import JobKind
from storage.schema import Image, Job, JobState

MONTH = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Used:
    trainings: int
    pictures: int
    gpu_seconds: dict[JobKind, float]

    @property
    def all_seconds(self) -> float:
        return sum(self.gpu_seconds.values())


async def used_since(session: AsyncSession, owner_id: int, since: datetime) -> Used:
    """Count what came to its end since then; what failed is nobody's to pay."""
    mine = Job.owner_id == owner_id, Job.created_at > since, Job.state == JobState.SUCCEEDED
    query = select(Job.kind, func.count(), func.coalesce(func.sum(Job.seconds), 0.0)).where(*mine).group_by(Job.kind)
    rows = {kind: (int(count), float(seconds or 0)) for kind, count, seconds in (await session.execute(query)).all()}
    drawn = select(func.count()).select_from(Image).join(Job, Job.id == Image.job_id)
    pictures = await session.scalar(drawn.where(*mine, Job.kind == JobKind.IMAGINE)) or 0
    return Used(
        trainings=rows.get(JobKind.TRAIN, (0, 0.0))[0],
        pictures=pictures,
        gpu_seconds={kind: seconds for kind, (_, seconds) in rows.items()},
    )
