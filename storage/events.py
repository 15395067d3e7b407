"""What a worker's event changes in the rows: once, in order, and only while its attempt is the present one."""

import logging
import math
from collections.abc import Iterator
from datetime import datetime
from uuid import uuid4

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import (
    AnyEvent,
    Cancelled,
    Done,
    Failed,
    JobKind,
    Picture,
    Queued,
    Sample,
    Saved,
    Started,
    Step,
    Trained,
    Variant,
)
from storage.database import insert_new
from storage.deliveries import touch_card, touch_waiting_cards
from storage.leftovers import STRUCK
from storage.outcomes import end_job, retry_job
from storage.schema import Image, InboxEntry, Job, JobState, Model, ModelStatus, OutboxEntry
from storage.variants import publish

log = logging.getLogger(__name__)

LOSS_POINTS = 60


async def apply_event(session: AsyncSession, event: AnyEvent, at: datetime) -> Job | None:
    """Apply the event and return its job; None when it came before, is late, or speaks of another attempt."""
    if not await insert_new(session, InboxEntry, event_id=event.id, at=at):
        return None
    job = await session.get(Job, event.job, with_for_update=True)
    if job is None or job.state.ended or event.attempt != job.attempt or event.seq <= job.last_seq:
        return None
    if not _plausible(job, event):
        log.warning("job %s: an event %s that does not fit it was refused", job.id, event.kind)
        return None
    job.last_seq = event.seq
    if job.state is JobState.ACCEPTED:
        await _note_release(session, job, at)
    match event:
        case Done() | Failed() | Cancelled():
            await _end(session, job, event, at)
        case Queued() | Started() | Step() | Sample() | Saved():
            await _go_on(session, job, event, at)
    return job


async def _note_release(session: AsyncSession, job: Job, at: datetime) -> None:
    """A worker has the job before we noted that we sent it: it must not be sent once more."""
    entry = update(OutboxEntry).where(OutboxEntry.job_id == job.id, OutboxEntry.attempt == job.attempt)
    await session.execute(entry.values(sent_at=at))
    job.state = JobState.QUEUED


async def _go_on(
    session: AsyncSession, job: Job, event: Queued | Started | Step | Sample | Saved, at: datetime
) -> None:
    match event:
        case Started():
            job.state, job.steps, job.started_at = JobState.RUNNING, event.steps, job.started_at or at
            await touch_waiting_cards(session, job.kind, at)
        case Step():
            job.state, job.started_at = JobState.RUNNING, job.started_at or at
            job.stage, job.step, job.steps, job.seconds_left = event.stage, event.step, event.steps, event.seconds_left
            if event.loss is not None and math.isfinite(event.loss):
                job.losses = trace_loss(job.losses, event.loss, event.step, event.steps)
        case Sample() if job.cancel_requested_at is None:  # else its model may be deleted, and the picture with it
            job.sample_key = event.key
        case Queued() | Sample() | Saved():
            pass
    if not isinstance(event, Saved):
        await touch_card(session, job.id, at)


async def _end(session: AsyncSession, job: Job, event: Done | Failed | Cancelled, at: datetime) -> None:
    match event:
        case Done():
            await _finish(session, job, event, at)
        case Failed(retry=True):
            await retry_job(session, job.id, at, event.reason)
        case Failed():
            job.seen_class = event.seen_class
            await end_job(session, job, JobState.FAILED, at, event.reason)
        case Cancelled():
            await end_job(session, job, JobState.CANCELLED, at)


async def _finish(session: AsyncSession, job: Job, event: Done, at: datetime) -> None:
    model = None if job.model_id is None else await session.get(Model, job.model_id, with_for_update=True)
    if model is not None and (model.deleted_at is not None or model.status is ModelStatus.TAKEN_DOWN):
        # its owner changed their mind, or an operator took it down: nothing of it may appear
        await end_job(session, job, JobState.CANCELLED, at)
        return
    if job.request.get("prompt") == STRUCK:  # whoever asked for it has deleted all that is theirs
        await end_job(session, job, JobState.CANCELLED, at)
        return
    job.seconds = event.seconds
    if event.trained is not None and model is not None:
        job.step = job.steps = event.trained.steps
        await publish(session, model, job, event.trained)  # until now its files were bytes that nothing refers to
        model.status, model.trained_at = ModelStatus.READY, at
        session.add_all(_samples(job, event.trained, at))
    elif event.imagined is not None:
        session.add_all(_images(job, event.imagined.pictures, at))
    await end_job(session, job, JobState.SUCCEEDED, at)


def trace_loss(losses: list[float], loss: float, step: int, steps: int) -> list[float]:
    """Add one value to a curve of at most `LOSS_POINTS` points that are spread evenly over the steps."""
    place = min(step * LOSS_POINTS // steps, LOSS_POINTS - 1)
    if place >= len(losses):
        return [*losses, loss]
    return [*losses[:place], (losses[place] + loss) / 2]


def _samples(job: Job, trained: Trained, at: datetime) -> Iterator[Image]:
    yield from _images(job, trained.samples, at)
    first = len(trained.samples)
    for each in trained.runners_up:
        yield from _images(job, each.samples, at, first, each.variant)
        first += len(each.samples)


def _images(
    job: Job, pictures: tuple[Picture, ...], at: datetime, first: int = 0, variant: Variant = Variant.BEST
) -> Iterator[Image]:
    for position, picture in enumerate(pictures, start=first):
        yield Image(
            id=uuid4().hex,
            job_id=job.id,
            model_id=job.model_id,
            owner_id=job.owner_id,
            key=picture.key,
            seed=picture.seed,
            width=picture.width,
            height=picture.height,
            position=position,
            created_at=at,
            variant=variant,
            score=picture.score,
        )


def _plausible(job: Job, event: AnyEvent) -> bool:
    """Tell whether the event speaks of this job's own files: a worker is not trusted with anybody else's."""
    if isinstance(event, Done):
        trains = job.kind is JobKind.TRAIN
        if (event.trained is not None) != trains or (event.imagined is None) != trains:
            return False
        if event.trained is not None and not _is_of(event.trained, job.model_id):
            return False
    return all(job.id in key.split("/") for key in _keys(event))


def _is_of(trained: Trained, model_id: str | None) -> bool:
    """Tell whether every adapter is the model's, and none comes twice."""
    variants = [Variant.BEST, *(each.variant for each in trained.runners_up)]
    owners = {each.adapter.model for each in (trained, *trained.runners_up)}
    return owners == {model_id} and len(variants) == len(set(variants))


def _keys(event: AnyEvent) -> Iterator[str]:
    match event:
        case Sample() | Saved():
            yield event.key
        case Done(trained=Trained() as trained):
            yield from trained.keys()
        case Done(imagined=imagined) if imagined is not None:
            yield from (picture.key for picture in imagined.pictures)
        case _:
            pass
