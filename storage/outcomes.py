"""How a job ends, and how it begins anew. Every end passes through `end_job`, so that a job has exactly one outcome."""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import FailureReason, JobKind, queue_name
from storage.deliveries import touch_card, touch_waiting_cards
from storage.quotas import problem_with_outcome, settle
from storage.schema import (
    WAITING,
    Delivery,
    DeliveryKind,
    Job,
    JobState,
    Model,
    ModelStatus,
    OutboxEntry,
)

MAX_ATTEMPTS = 3


async def end_job(
    session: AsyncSession, job: Job, state: JobState, at: datetime, reason: FailureReason | None = None
) -> None:
    """Give the job its outcome, unless it has one."""
    if job.state.ended:
        return
    waited = job.state in WAITING
    job.state, job.failure, job.finished_at = state, reason, at
    job.seconds_left = job.sample_key = None  # nobody is shown how far it had come, so its sample may go
    await settle(session, job, at, await problem_with_outcome(session, job))
    await session.execute(delete(OutboxEntry).where(OutboxEntry.job_id == job.id))
    await touch_card(session, job.id, at, at_once=True)
    if waited:
        await touch_waiting_cards(session, job.kind, at)
    if job.kind is JobKind.TRAIN and state is not JobState.SUCCEEDED:
        await _give_up_model(session, job, state, at)
    if job.kind is JobKind.TRAIN and state is not JobState.CANCELLED:
        session.add(_result_message(job, at))


async def fail_job(session: AsyncSession, job_id: str, reason: FailureReason, at: datetime) -> Job:
    job = await _locked(session, job_id)
    await end_job(session, job, JobState.FAILED, at, reason)
    return job


async def retry_job(
    session: AsyncSession, job_id: str, at: datetime, reason: FailureReason = FailureReason.GAVE_UP
) -> Job:
    """Start the next attempt. A job that nobody wants any more is cancelled; after the last attempt it fails."""
    job = await _locked(session, job_id)
    if job.state.ended:
        return job
    if job.cancel_requested_at is not None:
        await end_job(session, job, JobState.CANCELLED, at)
    elif job.attempt >= MAX_ATTEMPTS:
        await end_job(session, job, JobState.FAILED, at, reason)
    else:
        job.attempt, job.last_seq = job.attempt + 1, -1
        job.state, job.seconds_left, job.started_at = JobState.ACCEPTED, None, None
        session.add(next_release(job, at))
        await touch_card(session, job.id, at)
    return job


async def stop_job(session: AsyncSession, job: Job, at: datetime) -> None:
    """Cancel the job at once if no worker can know of it; otherwise ask, and let the worker's answer decide."""
    if job.state is JobState.ACCEPTED:
        await end_job(session, job, JobState.CANCELLED, at)
    elif job.cancel_requested_at is None:
        job.cancel_requested_at = at
        await touch_card(session, job.id, at, at_once=True)


def next_release(job: Job, at: datetime) -> OutboxEntry:
    """Return the outbox row that brings the job's present attempt to the workers."""
    return OutboxEntry(
        job_id=job.id,
        attempt=job.attempt,
        queue=queue_name(job.kind, job.base),
        request={**job.request, "attempt": job.attempt},
        created_at=at,
    )


async def _give_up_model(session: AsyncSession, job: Job, state: JobState, at: datetime) -> None:
    """A failed training is still shown in the gallery; a cancelled one leaves nothing, and its name is free again.

    A model that has learned before draws on as it did.
    """
    model = await session.get_one(Model, job.model_id)
    if model.version:
        return
    if state is JobState.FAILED:
        model.status = ModelStatus.FAILED
    elif model.deleted_at is None:
        model.deleted_at = at


def _result_message(job: Job, at: datetime) -> Delivery:
    return Delivery(
        job_id=job.id,
        kind=DeliveryKind.RESULT,
        channel_id=job.channel_id,
        owner_id=job.owner_id,
        not_before=at,
        updated_at=at,
    )


async def _locked(session: AsyncSession, job_id: str) -> Job:
    return await session.get_one(Job, job_id, with_for_update=True)
