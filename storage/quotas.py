"""How much a person may ask for: what each job takes from their quota, and when it is given back.

A job is charged in the transaction that accepts it, and the charge is given back at most once: when the job failed
through no fault of its owner's, when it was cancelled before any worker began it, and when its pictures were not shown
because we were late or Discord would not take them. What a worker has begun stays charged when its owner cancels it,
and so does what the safety check kept back. A deleted channel gives nothing back: the outcome stands in `/jobs`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.companions import lead_of
from storage.contract import FailureReason, JobKind
from storage.errors import QuotaUsedUp
from storage.schema import Charge, Delivery, DeliveryKind, DeliveryProblem, DeliveryState, Job, JobState

DAY = timedelta(days=1)
"""Quotas hold for any 24 hours that end now, so that nothing depends on anybody's midnight."""
COUNTED = (
    select(Charge.amount, Charge.at)
    .where(Charge.owner_id == bindparam("owner"), Charge.kind == bindparam("what"))
    .where(Charge.at > bindparam("since"), Charge.refunded_at.is_(None))
    .order_by(Charge.at)
)
OUTCOME = {JobKind.TRAIN: DeliveryKind.RESULT, JobKind.IMAGINE: DeliveryKind.CARD}
"""The message in which a person sees what came of a job."""


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """A job whose charge is not what its rows call for; `None` is no charge at all."""

    job: str
    expected: tuple[int, bool]
    """The amount, and whether it is given back."""
    found: tuple[int, bool] | None


async def check_quota(
    session: AsyncSession, owner_id: int, kind: JobKind, amount: int, per_day: int | None, at: datetime
) -> None:
    """Raises `QuotaUsedUp` when so much more does not fit into `per_day`; None sets no limit."""
    if per_day is None:
        return
    charges = (await session.execute(COUNTED, _of_a_day(owner_id, kind, at))).all()
    left = per_day - sum(charge.amount for charge in charges)
    if amount <= left:
        return
    free_at, freed = None, left
    for charge in charges:
        freed += charge.amount
        if freed >= amount:
            free_at = charge.at + DAY
            break
    raise QuotaUsedUp(kind, per_day, max(left, 0), free_at)


async def used(session: AsyncSession, owner_id: int, kind: JobKind, at: datetime) -> int:
    """Return how much of the quota of the last 24 hours is taken."""
    return sum(charge.amount for charge in (await session.execute(COUNTED, _of_a_day(owner_id, kind, at))).all())


def charge(session: AsyncSession, job: Job, at: datetime) -> None:
    session.add(Charge(job_id=job.id, owner_id=job.owner_id, kind=job.kind, amount=_amount(job), at=at))


async def settle(session: AsyncSession, job: Job, at: datetime, problem: DeliveryProblem | None = None) -> None:
    """Give the charge back if the job, as it has ended, or the message that tells of it calls for that; once."""
    if gives_back(job, problem):
        owed = update(Charge).where(Charge.job_id == job.id, Charge.refunded_at.is_(None))
        await session.execute(owed.values(refunded_at=at))


def gives_back(job: Job, problem: DeliveryProblem | None = None) -> bool:
    """Tell whether a job costs nothing; `problem` is why its outcome could not be shown."""
    match job.state:
        case JobState.FAILED:
            return job.failure is not FailureReason.UNSAFE
        case JobState.CANCELLED:
            return job.started_at is None
        case JobState.SUCCEEDED:  # a trained model is there to draw with, whatever became of the message
            late = problem in {DeliveryProblem.EXPIRED, DeliveryProblem.REFUSED}
            return late and job.kind is JobKind.IMAGINE
        case _:
            return False


async def problem_with_outcome(session: AsyncSession, job: Job) -> DeliveryProblem | None:
    """Return why the outcome could not be shown; None where it was, or where that is not decided yet."""
    lead = await lead_of(session, job.id)
    query = select(Delivery.problem).where(Delivery.job_id == lead, Delivery.kind == OUTCOME[job.kind])
    return await session.scalar(query.where(Delivery.state == DeliveryState.UNDELIVERABLE))


async def recount(session: AsyncSession) -> list[Mismatch]:
    """Compare every job's charge with what its rows call for; an empty list says that all quotas are right."""
    wrong = []
    charges = {charge.job_id: charge for charge in await session.scalars(select(Charge))}
    for job in (await session.scalars(select(Job))).all():
        taken = charges.get(job.id)
        expected = _amount(job), gives_back(job, await problem_with_outcome(session, job))
        found = None if taken is None else (taken.amount, taken.refunded_at is not None)
        same_owner = taken is not None and (taken.owner_id, taken.kind) == (job.owner_id, job.kind)
        if found != expected or not same_owner:
            wrong.append(Mismatch(job=job.id, expected=expected, found=found))
    return wrong


def _amount(job: Job) -> int:
    return 1 if job.kind is JobKind.TRAIN else int(job.request["count"])


def _of_a_day(owner_id: int, kind: JobKind, at: datetime) -> dict[str, Any]:
    return {"owner": owner_id, "what": kind, "since": at - DAY}
