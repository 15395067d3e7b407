"""What a job takes from its owner's quota, and when it is given back: once, and only when the failure is ours."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from storage.contract import Cancelled, Failed, FailureReason, JobKind, Started
from storage.database import Database
from storage.deliveries import find_delivery, give_way, mark_undeliverable
from storage.errors import QuotaUsedUp
from storage.events import apply_event
from storage.imaginings import accept_imagining
from storage.jobs import request_cancel
from storage.outcomes import MAX_ATTEMPTS, retry_job
from storage.people import set_direct_messages
from storage.quotas import DAY, OUTCOME, Mismatch, recount, used
from storage.schema import Charge, DeliveryKind, DeliveryProblem, Job, JobState
from storage.trainings import accept_training
from tests.storage.examples import (
    ANN,
    BOB,
    NOW,
    accepted_imagining,
    accepted_training,
    imagined,
    new_imagining,
    new_training,
    trained,
)

HOUR = timedelta(hours=1)


async def refunded(database: Database, job: Job) -> bool:
    """Tell whether the job's charge is given back, after a look that every charge is as the rows call for."""
    async with database.read() as session:
        assert await recount(session) == []
        return (await session.get_one(Charge, job.id)).refunded_at is not None


async def taken(database: Database, kind: JobKind, owner: int = ANN, after: timedelta = timedelta()) -> int:
    async with database.read() as session:
        return await used(session, owner, kind, NOW + after)


async def begin(database: Database, job: Job, attempt: int = 1) -> None:
    async with database.write() as session:
        await apply_event(session, Started(job=job.id, attempt=attempt, seq=0, worker="w", steps=20), NOW)


async def test_pictures_are_counted_for_24_hours(database: Database) -> None:
    async with database.write() as session:
        await accept_imagining(session, replace(new_imagining(), count=4), NOW, per_day=6)
        await accept_imagining(session, replace(new_imagining(), count=1), NOW + HOUR, per_day=6)
        with pytest.raises(QuotaUsedUp) as refusal:
            await accept_imagining(session, replace(new_imagining(), count=2), NOW + 2 * HOUR, per_day=6)
        await accept_imagining(session, new_imagining(BOB), NOW + 2 * HOUR, per_day=6)
    assert (refusal.value.left, refusal.value.free_at) == (1, NOW + DAY)
    assert await taken(database, JobKind.IMAGINE) == 5
    assert await taken(database, JobKind.TRAIN) == 0
    assert await taken(database, JobKind.IMAGINE, after=DAY) == 1
    async with database.write() as session:
        await accept_imagining(session, replace(new_imagining(), count=2), NOW + DAY, per_day=6)


async def test_what_never_fits_has_no_time(database: Database) -> None:
    async with database.write() as session:
        with pytest.raises(QuotaUsedUp) as refusal:
            await accept_imagining(session, replace(new_imagining(), count=4), NOW, per_day=3)
    assert (refusal.value.left, refusal.value.free_at) == (3, None)


async def test_trainings_have_a_quota_of_their_own(database: Database) -> None:
    job = await accepted_training(database)
    async with database.write() as session:
        await apply_event(session, trained(job), NOW)
        with pytest.raises(QuotaUsedUp):
            await accept_training(session, new_training(name="luna"), NOW, per_day=1)
    assert not await refunded(database, job)


async def test_the_same_interaction_is_charged_once(database: Database) -> None:
    for _ in range(2):
        async with database.write() as session:
            await accept_imagining(session, new_imagining(interaction=5), NOW, per_day=1)
    assert await taken(database, JobKind.IMAGINE) == 1


@pytest.mark.parametrize("reason", FailureReason)
async def test_every_failure_gives_it_back_but_what_the_safety_check_keeps(
    database: Database, reason: FailureReason
) -> None:
    job = await accepted_imagining(database)
    await begin(database, job)
    async with database.write() as session:
        await apply_event(session, Failed(job=job.id, attempt=1, seq=9, reason=reason), NOW)
    assert await refunded(database, job) is (reason is not FailureReason.UNSAFE)
    assert await taken(database, JobKind.IMAGINE) == (1 if reason is FailureReason.UNSAFE else 0)


async def test_giving_up_after_the_last_attempt_gives_it_back(database: Database) -> None:
    job = await accepted_training(database)
    for _ in range(MAX_ATTEMPTS):
        async with database.write() as session:
            await retry_job(session, job.id, NOW)
    assert await refunded(database, job)


async def test_a_cancellation_gives_back_what_no_worker_began(database: Database) -> None:
    job = await accepted_training(database)
    async with database.write() as session:
        await request_cancel(session, job.id, ANN, NOW)
    assert await refunded(database, job)


async def test_a_cancellation_keeps_what_a_worker_began(database: Database) -> None:
    job = await accepted_training(database)
    await begin(database, job)
    async with database.write() as session:
        await request_cancel(session, job.id, ANN, NOW)
        await apply_event(session, Cancelled(job=job.id, attempt=1, seq=9, step=3), NOW)
    assert not await refunded(database, job)


async def test_who_stops_waiting_for_a_second_worker_pays_nothing(database: Database) -> None:
    job = await accepted_training(database)
    await begin(database, job)
    async with database.write() as session:
        await retry_job(session, job.id, NOW)
        await request_cancel(session, job.id, ANN, NOW)
    assert await refunded(database, job)


async def test_events_that_come_again_give_nothing_back_again(database: Database) -> None:
    job = await accepted_imagining(database)
    for again in range(2):
        for seq in (9, 10):
            async with database.write() as session:
                event = Failed(job=job.id, attempt=1, seq=seq, reason=FailureReason.ENGINE_DIED)
                await apply_event(session, event, NOW + (2 * again + seq) * HOUR)
    async with database.read() as session:
        assert (await session.get_one(Charge, job.id)).refunded_at == NOW + 9 * HOUR


@pytest.mark.parametrize("problem", DeliveryProblem)
@pytest.mark.parametrize("early", [True, False])
async def test_pictures_that_could_not_be_shown_are_given_back_unless_the_channel_is_gone(
    database: Database, problem: DeliveryProblem, early: bool
) -> None:
    """Whether the message fails before the job ends or after it."""
    job = await accepted_imagining(database)
    await begin(database, job)
    async with database.write() as session:
        card = await find_delivery(session, job.id, DeliveryKind.CARD)
        assert card is not None
        if early:
            await mark_undeliverable(session, card.id, NOW, problem)
        await apply_event(session, imagined(job), NOW)
        if not early:
            await mark_undeliverable(session, card.id, NOW, problem)
    assert await refunded(database, job) is (problem is not DeliveryProblem.CLOSED)


async def test_a_trained_model_is_not_free_because_its_message_failed(database: Database) -> None:
    job = await accepted_training(database)
    async with database.write() as session:
        await apply_event(session, trained(job), NOW)
        result = await find_delivery(session, job.id, OUTCOME[JobKind.TRAIN])
        assert result is not None
        await mark_undeliverable(session, result.id, NOW, DeliveryProblem.REFUSED)
    assert not await refunded(database, job)


async def test_what_goes_directly_is_shown_and_stays_charged(database: Database) -> None:
    job = await accepted_imagining(database)
    async with database.write() as session:
        await set_direct_messages(session, ANN, True, NOW)
        await apply_event(session, imagined(job), NOW)
        card = await find_delivery(session, job.id, DeliveryKind.CARD)
        assert card is not None
        assert await give_way(session, card.id, DeliveryProblem.EXPIRED, NOW)
    assert not await refunded(database, job)
    async with database.write() as session:  # the direct message is closed as well
        assert not await give_way(session, card.id, DeliveryProblem.CLOSED, NOW)
    assert await refunded(database, job)


async def test_the_recount_finds_what_is_wrong(database: Database) -> None:
    kept, lost, back = [await accepted_imagining(database) for _ in range(3)]
    async with database.write() as session:
        (await session.get_one(Charge, kept.id)).amount = 2
        await session.delete(await session.get_one(Charge, lost.id))
        (await session.get_one(Job, back.id)).state = JobState.FAILED
    async with database.read() as session:
        found = {mismatch.job: mismatch for mismatch in await recount(session)}
        assert len((await session.scalars(select(Charge))).all()) == 2
    assert found == {
        kept.id: Mismatch(job=kept.id, expected=(1, False), found=(2, False)),
        lost.id: Mismatch(job=lost.id, expected=(1, False), found=None),
        back.id: Mismatch(job=back.id, expected=(1, True), found=(1, False)),
    }
