"""How many jobs wait and are under way, for whoever looks after the bot."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import JobKind
from storage.schema import OPEN, WAITING, Job


@dataclass(frozen=True)
class Standing:
    kind: JobKind
    waiting: int
    under_way: int


async def standing(session: AsyncSession) -> Sequence[Standing]:
    query = select(Job.kind, Job.state, func.count()).where(OPEN).group_by(Job.kind, Job.state)
    waiting, all_of = Counter[JobKind](), Counter[JobKind]()
    for kind, state, number in await session.execute(query):
        all_of[kind] += number
        waiting[kind] += number * (state in WAITING)
    return [Standing(kind, waiting[kind], all_of[kind] - waiting[kind]) for kind in JobKind]
