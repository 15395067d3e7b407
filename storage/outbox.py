"""What Redis has yet to be told: attempts to release, in an order that is fair between people, and wishes to cancel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from storage.admission import holds_back
from storage.contract import JobKind
from storage.outcomes import end_job
from storage.schema import OPEN, Job, JobState, OutboxEntry


@dataclass(frozen=True, kw_only=True)
class Release:
    """One attempt on its way to a queue."""

    entry: int
    job: str
    owner_id: int
    attempt: int
    kind: JobKind
    queue: str
    request: dict[str, Any]
    accepted_at: datetime


def _unsent() -> tuple[ColumnElement[bool], ...]:
    return OutboxEntry.sent_at.is_(None), OutboxEntry.attempt == Job.attempt, Job.state == JobState.ACCEPTED


# Written once, for they are asked again and again.
QUEUES = select(OutboxEntry.queue, Job.kind).join(Job, Job.id == OutboxEntry.job_id).where(*_unsent()).distinct()
QUEUED = (
    select(func.count())
    .select_from(OutboxEntry)
    .join(Job, Job.id == OutboxEntry.job_id)
    .where(OutboxEntry.queue == bindparam("in_line"), OutboxEntry.attempt == Job.attempt, OPEN)
    .where(Job.state == JobState.QUEUED)
)
IN_REDIS = select(Job).where(OPEN, Job.state.in_((JobState.QUEUED, JobState.RUNNING)))
TO_CANCEL = IN_REDIS.where(Job.cancel_requested_at.is_not(None))


async def next_releases(session: AsyncSession, windows: Mapping[JobKind, int]) -> Sequence[Release]:
    """Return what to send now: of each queue as much as its window still holds, by turns between people.

    Nothing, while an operator holds back what waits.

    The jobs that a person already has in Redis count as turns they have had, so that the first job of one stands before
    the fifth of another however long either has waited.
    """
    if await holds_back(session):
        return []
    releases: list[Release] = []
    for queue, kind in (await session.execute(QUEUES)).all():
        free = windows[kind] - await _in_redis(session, queue)
        if free > 0:
            releases += await _by_turns(session, queue, free)
    return releases


async def mark_released(session: AsyncSession, release: Release, at: datetime) -> bool:
    """Note that Redis has the attempt. False says that the job ended or went on to another attempt meanwhile."""
    job = await session.get_one(Job, release.job, with_for_update=True)
    entry = await session.get(OutboxEntry, release.entry)
    if entry is None or job.state.ended or job.attempt != release.attempt:
        return False
    entry.sent_at = entry.sent_at or at
    if job.state is JobState.ACCEPTED:
        job.state = JobState.QUEUED
    return True


async def release_again(session: AsyncSession, job_id: str, attempt: int, at: datetime) -> None:
    """Send the attempt once more, because Redis has forgotten it. What nobody wants any more is cancelled instead."""
    job = await session.get_one(Job, job_id, with_for_update=True)
    if job.state is not JobState.QUEUED or job.attempt != attempt:
        return
    if job.cancel_requested_at is not None:
        await end_job(session, job, JobState.CANCELLED, at)
        return
    job.state = JobState.ACCEPTED
    entries = select(OutboxEntry).where(OutboxEntry.job_id == job_id, OutboxEntry.attempt == attempt)
    (await session.scalars(entries)).one().sent_at = None


async def jobs_to_cancel(session: AsyncSession) -> Sequence[Job]:
    """Return the jobs that somebody wants to stop and that Redis has."""
    return (await session.scalars(TO_CANCEL)).all()


async def jobs_to_hold_back(session: AsyncSession) -> Sequence[Job]:
    """Return the jobs that Redis has and no worker, while an operator holds back what waits."""
    if not await holds_back(session):
        return []
    return (await session.scalars(select(Job).where(OPEN, Job.state == JobState.QUEUED))).all()


async def jobs_in_redis(session: AsyncSession) -> Sequence[Job]:
    """Return the jobs of which Redis should hold a trace."""
    return (await session.scalars(IN_REDIS)).all()


async def _in_redis(session: AsyncSession, queue: str) -> int:
    """Count what waits in Redis; what runs makes room for the next."""
    return await session.scalar(QUEUED, {"in_line": queue}) or 0


async def _by_turns(session: AsyncSession, queue: str, limit: int) -> list[Release]:
    sent, busy = aliased(OutboxEntry), aliased(Job)
    had = select(func.count()).select_from(busy).join(sent, (sent.job_id == busy.id) & (sent.attempt == busy.attempt))
    had = had.where(
        sent.queue == queue, busy.owner_id == Job.owner_id, busy.state.in_((JobState.QUEUED, JobState.RUNNING))
    )
    turn = func.row_number().over(partition_by=Job.owner_id, order_by=(Job.created_at, OutboxEntry.id))
    query = (
        select(OutboxEntry, Job.kind, Job.created_at, Job.owner_id)
        .join(Job, Job.id == OutboxEntry.job_id)
        .where(OutboxEntry.queue == queue, *_unsent())
        .order_by(turn + had.correlate(Job).scalar_subquery(), Job.created_at, OutboxEntry.id)
        .limit(limit)
    )
    return [
        Release(
            entry=entry.id,
            job=entry.job_id,
            owner_id=owner_id,
            attempt=entry.attempt,
            kind=kind,
            queue=entry.queue,
            request=entry.request,
            accepted_at=accepted_at,
        )
        for entry, kind, accepted_at, owner_id in (await session.execute(query)).all()
    ]
