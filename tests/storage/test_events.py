from collections.abc import Iterable
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from storage.contract import (
    AnyEvent,
    Cancelled,
    Failed,
    FailureReason,
    Queued,
    Sample,
    Saved,
    Stage,
    Started,
    Step,
    checkpoint_key,
    sample_key,
)
from storage.database import Database
from storage.deliveries import mark_card_posted
from storage.erasure import delete_model
from storage.events import LOSS_POINTS, apply_event, trace_loss
from storage.jobs import pictures_of, request_cancel
from storage.leftovers import unreferenced
from storage.outcomes import retry_job
from storage.schema import Delivery, DeliveryKind, Job, JobState, Model, ModelStatus, OutboxEntry
from tests.storage.examples import ANN, NOW, accepted_imagining, accepted_training, imagined, trained

LATER = NOW + timedelta(minutes=1)
EVENTS = 6
OWNERS = count(5000)


async def applied(database: Database, *events: AnyEvent) -> list[bool]:
    """Apply each event in a transaction of its own; tells which changed anything."""
    changed = []
    for event in events:
        async with database.write() as session:
            changed.append(await apply_event(session, event, LATER) is not None)
    return changed


async def loaded(database: Database, job: Job) -> Job:
    async with database.read() as session:
        return await session.get_one(Job, job.id)


def step(job: Job, seq: int, number: int = 10, loss: float | None = 0.5) -> Step:
    return Step(
        job=job.id, attempt=1, seq=seq, stage=Stage.TRAINING, step=number, steps=400, loss=loss, seconds_left=60
    )


async def test_a_training_is_followed_to_its_end(database: Database) -> None:
    job = await accepted_training(database)
    key = sample_key(job.id, 1, "000100")

    await applied(database, Queued(job=job.id, attempt=1, seq=1))
    assert (await loaded(database, job)).state is JobState.QUEUED
    await applied(database, Started(job=job.id, attempt=1, seq=2, worker="w", steps=400))
    await applied(database, step(job, 3), Sample(job=job.id, attempt=1, seq=4, step=10, key=key))
    running = await loaded(database, job)
    assert (running.state, running.stage, running.step, running.steps) == (JobState.RUNNING, Stage.TRAINING, 10, 400)
    assert (running.losses, running.seconds_left, running.sample_key) == ([0.5], 60, key)
    assert running.started_at == LATER

    done = trained(job)
    await applied(database, done)
    async with database.read() as session:
        ended = await session.get_one(Job, job.id)
        model = await session.get_one(Model, job.model_id)
        samples = await pictures_of(session, job.id)
    assert done.trained is not None
    assert (ended.state, ended.step, ended.seconds, ended.finished_at) == (JobState.SUCCEEDED, 400, 42, LATER)
    assert (model.status, model.version, model.trained_at) == (ModelStatus.READY, 1, LATER)
    assert (model.adapter_key, model.adapter_digest) == (done.trained.adapter.key, "a" * 64)
    assert (model.download_key, model.download_digest) == (done.trained.download, "b" * 64)
    assert (model.cover_key, model.subject_score) == (done.trained.samples[0].key, 0.8)
    assert [image.key for image in samples] == [sample.key for sample in done.trained.samples]


async def test_an_event_counts_once(database: Database) -> None:
    job = await accepted_imagining(database)
    assert await applied(database, imagined(job), imagined(job)) == [True, False]
    async with database.read() as session:
        assert len(await pictures_of(session, job.id)) == 1


async def test_late_and_foreign_events_change_nothing(database: Database) -> None:
    job = await accepted_training(database)
    await applied(database, step(job, 5, number=50))
    async with database.write() as session:
        await retry_job(session, job.id, NOW)
    await applied(database, Queued(job=job.id, attempt=2, seq=7))
    before = await loaded(database, job)

    late: list[AnyEvent] = [
        step(job, 4),
        trained(before).model_copy(update={"attempt": 1}),
        Queued(job=job.id, attempt=2, seq=6),
        Cancelled(job=job.id, attempt=3, seq=9),
        Queued(job="0" * 32, attempt=1, seq=1),
    ]
    assert await applied(database, *late) == [False] * 5
    assert (await loaded(database, job)) == before


async def test_an_event_that_comes_before_our_own_note_proves_the_sending(database: Database) -> None:
    job = await accepted_training(database)
    await applied(database, Started(job=job.id, attempt=1, seq=1, worker="w", steps=10))
    async with database.read() as session:
        assert (await session.scalars(select(OutboxEntry))).one().sent_at == LATER


async def test_a_worker_cannot_point_a_job_at_other_files(database: Database) -> None:
    job, other = await accepted_training(database), await accepted_imagining(database, owner=ANN + 1)
    done = trained(job)
    assert done.trained is not None
    foreign_adapter = done.trained.adapter.model_copy(update={"model": other.id})
    forged: list[AnyEvent] = [
        Sample(job=job.id, attempt=1, seq=1, step=1, key=f"photos/{other.id}/0.png"),
        done.model_copy(update={"trained": done.trained.model_copy(update={"adapter": foreign_adapter})}),
        done.model_copy(update={"trained": done.trained.model_copy(update={"download": f"models/{other.id}/x.bin"})}),
        done.model_copy(update={"trained": None}),
        imagined(other).model_copy(update={"job": job.id}),
        done.model_copy(update={"job": other.id}),
    ]
    assert await applied(database, *forged) == [False] * 6
    assert (await loaded(database, job)).state is JobState.ACCEPTED


async def test_a_failure_is_tried_again_only_where_that_can_help(database: Database) -> None:
    job = await accepted_imagining(database)
    for attempt in (1, 2):
        await applied(
            database,
            Failed(job=job.id, attempt=attempt, seq=1, reason=FailureReason.ENGINE_DIED, retry=True),
        )
        assert (await loaded(database, job)).attempt == attempt + 1
    await applied(database, Failed(job=job.id, attempt=3, seq=1, reason=FailureReason.ENGINE_DIED, retry=True))
    ended = await loaded(database, job)
    assert (ended.state, ended.failure) == (JobState.FAILED, FailureReason.ENGINE_DIED)

    hopeless = await accepted_training(database)
    await applied(database, Failed(job=hopeless.id, attempt=1, seq=1, reason=FailureReason.PHOTOS_MISSING))
    ended = await loaded(database, hopeless)
    assert (ended.state, ended.attempt, ended.failure) == (JobState.FAILED, 1, FailureReason.PHOTOS_MISSING)


async def test_a_cancelled_training_leaves_no_model(database: Database) -> None:
    job = await accepted_training(database)
    await applied(database, Queued(job=job.id, attempt=1, seq=1))
    async with database.write() as session:
        await request_cancel(session, job.id, ANN, NOW)
    await applied(database, Cancelled(job=job.id, attempt=1, seq=2, step=3))
    assert (await loaded(database, job)).state is JobState.CANCELLED
    await accepted_training(database)


async def test_an_ended_job_holds_on_to_no_sample(database: Database) -> None:
    """After a cancelled training nobody could delete it any more: its model is gone."""
    job = await accepted_training(database)
    key = sample_key(job.id, 1, "000100")
    await applied(database, Sample(job=job.id, attempt=1, seq=1, step=10, key=key))
    async with database.write() as session:
        await request_cancel(session, job.id, ANN, NOW)
    await applied(database, Cancelled(job=job.id, attempt=1, seq=2, step=10))
    async with database.read() as session:
        assert await unreferenced(session, [key]) == [key]


async def test_a_job_that_has_to_stop_shows_no_further_sample(database: Database) -> None:
    job = await accepted_training(database)
    await applied(database, Started(job=job.id, attempt=1, seq=1, worker="w", steps=10))
    async with database.write() as session:
        await delete_model(session, str(job.model_id), ANN, NOW)
    await applied(database, Sample(job=job.id, attempt=1, seq=2, step=5, key=sample_key(job.id, 1, "000005")))
    assert (await loaded(database, job)).sample_key is None


async def test_a_model_that_was_deleted_meanwhile_stays_deleted(database: Database) -> None:
    job = await accepted_training(database)
    await applied(database, Started(job=job.id, attempt=1, seq=1, worker="w", steps=10))
    async with database.write() as session:
        await delete_model(session, str(job.model_id), ANN, NOW)
    assert (await loaded(database, job)).cancel_requested_at == NOW
    await applied(database, trained(job))
    async with database.read() as session:
        model = await session.get_one(Model, job.model_id)
        assert await pictures_of(session, job.id) == []
    assert (model.deleted_at, model.adapter_key) == (NOW, None)
    assert (await loaded(database, job)).state is JobState.CANCELLED


async def test_cards_are_edited_when_something_shows(database: Database) -> None:
    job = await accepted_training(database)
    async with database.write() as session:
        await mark_card_posted(session, job.id, 77)
    saved = Saved(job=job.id, attempt=1, seq=2, step=1, key=checkpoint_key(job.id, 1, 1), digest="c" * 64)
    revisions = []
    for event in (step(job, 1), saved, step(job, 3)):
        await applied(database, event)
        async with database.read() as session:
            card = (await session.scalars(select(Delivery).where(Delivery.kind == DeliveryKind.CARD))).one()
        revisions.append(card.revision)
        assert card.dirty
    assert revisions == [1, 1, 2]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
async def test_a_loss_that_is_no_number_is_not_drawn(database: Database, loss: float) -> None:
    job = await accepted_training(database)
    await applied(database, step(job, 1, loss=1.0), step(job, 2, loss=loss))
    assert (await loaded(database, job)).losses == [1.0]


@given(st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 10)), max_size=100), st.integers(1, 5000))
def test_a_loss_curve_stays_short_and_within_its_values(points: list[tuple[int, float]], steps: int) -> None:
    losses: list[float] = []
    for number, loss in points:
        losses = trace_loss(losses, loss, min(number, steps), steps)
    assert len(losses) <= LOSS_POINTS
    assert bool(losses) == bool(points)
    if points:
        values = [loss for _, loss in points]
        assert all(min(values) <= loss <= max(values) for loss in losses)


def test_a_loss_curve_of_many_steps_is_even() -> None:
    losses: list[float] = []
    for number in range(1, 1201):
        losses = trace_loss(losses, float(number), number, 1200)
    assert len(losses) == LOSS_POINTS
    assert losses == sorted(losses)


@settings(max_examples=8)
@given(replays=st.tuples(*(st.lists(st.integers(0, place), max_size=2) for place in range(EVENTS))))
async def test_copies_and_latecomers_never_change_what_the_events_in_order_make(
    database: Database, replays: tuple[list[int], ...]
) -> None:
    """After each event some of those until then come once more."""

    async def outcome(places: Iterable[int]) -> tuple[object, ...]:
        job = await accepted_training(database, owner=next(OWNERS))
        events: list[AnyEvent] = [Queued(job=job.id, attempt=1, seq=0)]
        events += [step(job, seq, number=seq * 10, loss=seq / 2) for seq in range(1, EVENTS - 1)]
        events.append(trained(job, seq=EVENTS - 1))
        await applied(database, *(events[place] for place in places))
        row = await loaded(database, job)
        async with database.read() as session:
            pictures = len(await pictures_of(session, job.id))
            messages = len((await session.scalars(select(Delivery).where(Delivery.job_id == job.id))).all())
        return row.state, row.step, row.losses, row.last_seq, row.seconds, pictures, messages

    repeated = [place for new, old in enumerate(replays) for place in (new, *old)]
    assert await outcome(repeated) == await outcome(range(EVENTS))
