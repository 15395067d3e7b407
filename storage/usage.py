"""What a person has used: pictures, trainings, and the workers' time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import JobKind
from storage.schema import Image, Job, JobState

MONTH = timedelta(days=30)
MINE = (
    Job.owner_id == bindparam("owner"), Job.created_at > bindparam("since"), Job.state == JobState.SUCCEEDED
)  # fmt: skip
TOOK = select(Job.kind, func.count(), func.coalesce(func.sum(Job.seconds), 0.0)).where(*MINE).group_by(Job.kind)
DRAWN = select(Job.kind, func.count()).join(Image, Image.job_id == Job.id).where(*MINE).group_by(Job.kind)


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
    asked = {"owner": owner_id, "since": since}
    found = (await session.execute(TOOK, asked)).all()
    rows = {kind: (int(count), float(seconds or 0)) for kind, count, seconds in found}
    drawn: dict[JobKind, int] = {kind: count for kind, count in await session.execute(DRAWN, asked)}  # noqa: C416
    return Used(
        trainings=rows.get(JobKind.TRAIN, (0, 0.0))[0],
        pictures=drawn.get(JobKind.IMAGINE, 0),
        gpu_seconds={kind: seconds for kind, (_, seconds) in rows.items()},
    )
