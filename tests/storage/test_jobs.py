import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from storage.contract import REQUEST, FailureReason, ImagineRequest, JobKind, TrainRequest, queue_name
from storage.database import Database
from storage.deliveries import mark_card_posted
from storage.erasure import delete_model
from storage.errors import (
    InvalidName,
    JobAlreadyEnded,
    ModelNotFound,
    ModelNotReady,
    NameTaken,
    NotYourJob,
    TooManyJobs,
    TrainingActive,
)
from storage.events import apply_event
from storage.imaginings import accept_imagining
from storage.jobs import active_jobs, find_job, pictures_of, queue_place, request_cancel
from storage.models import own_models
from storage.outcomes import fail_job, retry_job
from storage.schema import Base, Delivery, DeliveryKind, Job, JobState, Model, ModelStatus, OutboxEntry, Photo
from storage.sharing import share_model, unshare_model
from storage.trainings import accept_training
from tests.storage.examples import (
    ANN,
    BASE,
    BOB,
    GUILD,
    NOW,
    accepted_imagining,
    accepted_training,
    imagined,
    new_imagining,
    new_training,
    trained,
)


async def rows_of(database: Database, table: type[Base]) -> Sequence[Base]:
    async with database.read() as session:
        return (await session.scalars(select(table))).all()


async def count(database: Database) -> dict[str, int]:
    async with database.read() as session:
        return {
            table.name: await session.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        }


async def ended(database: Database, job: Job) -> Job:
    """Let the job succeed."""
    async with database.write() as session:
        event = trained(job) if job.kind is JobKind.TRAIN else imagined(job)
        applied = await apply_event(session, event, NOW)
    assert applied is not None
    return applied


async def ready_model(database: Database, owner: int = ANN, name: str = "rex") -> Model:
    job = await ended(database, await accepted_training(database, owner, name))
    async with database.read() as session:
        return await session.get_one(Model, job.model_id)


async def test_a_training_is_promised_with_all_that_belongs_to_it(database: Database) -> None:
    new = new_training(name="  Rex ")
    async with database.write() as session:
        job = await accept_training(session, new, NOW)

    assert (job.id, job.state, job.attempt, job.created_at) == (new.job, JobState.ACCEPTED, 1, NOW)
    async with database.read() as session:
        model = await session.get_one(Model, new.model)
        photos = (await session.scalars(select(Photo).order_by(Photo.position))).all()
        card = (await session.scalars(select(Delivery))).one()
        entry = (await session.scalars(select(OutboxEntry))).one()
    assert (model.name, model.status, model.photo_count) == ("Rex", ModelStatus.TRAINING, 3)
    assert [photo.key for photo in photos] == [photo.key for photo in new.photos]
    assert (card.kind, card.not_before - NOW) == (DeliveryKind.CARD, timedelta(seconds=15))
    assert (entry.queue, entry.sent_at) == (queue_name(JobKind.TRAIN, BASE), None)
    request = REQUEST.validate_python(entry.request)
    assert isinstance(request, TrainRequest)
    assert request.identifier == model.identifier
    assert request.photos == tuple(photo.key for photo in new.photos)


async def test_the_same_interaction_is_the_same_job(database: Database) -> None:
    async with database.write() as session:
        first = await accept_training(session, new_training(interaction=1), NOW)
    before = await count(database)
    async with database.write() as session:
        assert (await accept_training(session, new_training(interaction=1), NOW)).id == first.id
    async with database.write() as session:
        picture = await accept_imagining(session, new_imagining(interaction=2), NOW)
    async with database.write() as session:
        assert (await accept_imagining(session, new_imagining(interaction=2), NOW)).id == picture.id
    assert await count(database) == {
        **before,
        "jobs": before["jobs"] + 1,
        "deliveries": before["deliveries"] + 1,
        "outbox": before["outbox"] + 1,
        "charges": before["charges"] + 1,
    }


async def test_two_clicks_at_once_are_one_job(database: Database) -> None:
    async def click() -> str:
        async with database.write() as session:
            return (await accept_training(session, new_training(interaction=1), NOW)).id

    assert len(set(await asyncio.gather(*(click() for _ in range(5))))) == 1


async def test_a_person_trains_one_model_at_a_time(database: Database) -> None:
    first = await accepted_training(database)
    before = await count(database)
    with pytest.raises(TrainingActive) as caught:
        await accepted_training(database, name="luna")
    assert caught.value.job == first.id
    assert await count(database) == before

    await accepted_training(database, owner=BOB)
    await ended(database, first)
    await accepted_training(database, name="luna")


async def test_names_are_unique_for_each_owner_without_case(database: Database) -> None:
    await ready_model(database, name="Rex")
    with pytest.raises(NameTaken) as caught:
        await accepted_training(database, name="REX")
    assert caught.value.name == "Rex"
    await accepted_training(database, owner=BOB, name="REX")
    with pytest.raises(InvalidName):
        await accepted_training(database, name="**")


async def test_a_failed_or_cancelled_training_gives_the_name_back(database: Database) -> None:
    failed = await accepted_training(database)
    async with database.write() as session:
        await fail_job(session, failed.id, FailureReason.DIVERGED, NOW)
    async with database.read() as session:
        assert [model.status for model in await own_models(session, ANN, 0, 10)] == [ModelStatus.FAILED]

    cancelled = await accepted_training(database)
    async with database.write() as session:
        await request_cancel(session, cancelled.id, ANN, NOW)
    async with database.read() as session:
        assert await own_models(session, ANN, 0, 10) == []
    await accepted_training(database)


async def test_each_model_of_a_person_has_its_own_identifier(database: Database) -> None:
    models = [await ready_model(database, name=f"dog {n}") for n in range(5)]
    assert len({model.identifier for model in models}) == 5
    assert (await ready_model(database, owner=BOB)).identifier == models[0].identifier


async def test_an_imagining_names_the_files_of_its_model(database: Database) -> None:
    model = await ready_model(database)
    await accepted_imagining(database, model=model)
    async with database.read() as session:
        entry = (await session.scalars(select(OutboxEntry).where(OutboxEntry.sent_at.is_(None)))).one()
    request = REQUEST.validate_python(entry.request)
    assert isinstance(request, ImagineRequest)
    assert request.adapter is not None
    assert (request.adapter.key, request.adapter.digest) == (model.adapter_key, model.adapter_digest)


async def test_an_imagining_looks_at_the_model_as_it_is_now(database: Database) -> None:
    model = await ready_model(database)
    async with database.write() as session:
        await delete_model(session, model.id, ANN, NOW)
    with pytest.raises(ModelNotFound):
        await accepted_imagining(database, model=model)

    unready = await accepted_training(database, name="luna")
    async with database.read() as session:
        luna = await session.get_one(Model, unready.model_id)
    with pytest.raises(ModelNotReady):
        await accepted_imagining(database, model=luna)


async def test_an_imagining_needs_a_model_that_is_still_shared(database: Database) -> None:
    model = await ready_model(database)
    async with database.write() as session:
        await share_model(session, model.id, ANN, GUILD)
    await accepted_imagining(database, owner=BOB, model=model)
    async with database.write() as session:
        await unshare_model(session, model.id, ANN)
    with pytest.raises(ModelNotFound):
        await accepted_imagining(database, owner=BOB, model=model)


async def test_a_person_has_only_so_many_imaginings_at_once(database: Database) -> None:
    await accepted_training(database)
    await accepted_imagining(database)
    last = await accepted_imagining(database)
    with pytest.raises(TooManyJobs) as caught:
        async with database.write() as session:
            await accept_imagining(session, new_imagining(), NOW, limit=2)
    assert caught.value.limit == 2
    await ended(database, last)
    async with database.write() as session:
        await accept_imagining(session, new_imagining(), NOW, limit=2)


async def test_places_count_only_what_waits_before(database: Database) -> None:
    jobs = [await accepted_imagining(database, owner=ANN + n, at=NOW + timedelta(seconds=n)) for n in range(3)]
    await accepted_training(database)

    async def places() -> list[int]:
        async with database.read() as session:
            return [await queue_place(session, await session.get_one(Job, job.id)) for job in jobs]

    assert await places() == [1, 2, 3]
    await ended(database, jobs[0])
    assert await places() == [0, 1, 2]


async def test_what_no_worker_has_is_cancelled_at_once(database: Database) -> None:
    job = await accepted_training(database)
    async with database.write() as session:
        cancelled = await request_cancel(session, job.id, ANN, NOW)
    assert (cancelled.state, cancelled.finished_at) == (JobState.CANCELLED, NOW)
    assert await rows_of(database, OutboxEntry) == []
    with pytest.raises(JobAlreadyEnded) as caught:
        async with database.write() as session:
            await request_cancel(session, job.id, ANN, NOW)
    assert caught.value.state == "cancelled"


async def test_what_redis_has_is_asked_to_stop(database: Database) -> None:
    job = await accepted_training(database)
    async with database.write() as session:
        (await session.get_one(Job, job.id)).state = JobState.RUNNING
    for later in (0, 9):
        async with database.write() as session:
            asked = await request_cancel(session, job.id, ANN, NOW + timedelta(seconds=later))
        assert (asked.state, asked.cancel_requested_at) == (JobState.RUNNING, NOW)


@pytest.mark.parametrize("missing", [True, False])
async def test_nobody_cancels_for_another(database: Database, missing: bool) -> None:
    job = await accepted_training(database)
    with pytest.raises(NotYourJob):
        async with database.write() as session:
            await request_cancel(session, "0" * 32 if missing else job.id, BOB, NOW)


async def test_a_retry_is_a_new_attempt_with_the_same_request(database: Database) -> None:
    job = await accepted_training(database)
    async with database.write() as session:
        again = await retry_job(session, job.id, NOW)
    assert (again.state, again.attempt, again.last_seq) == (JobState.ACCEPTED, 2, -1)
    async with database.read() as session:
        entries = (await session.scalars(select(OutboxEntry).order_by(OutboxEntry.id))).all()
    assert [(entry.attempt, entry.request["attempt"]) for entry in entries] == [(1, 1), (2, 2)]
    assert {**entries[1].request, "attempt": 1} == entries[0].request


async def test_the_third_attempt_is_the_last(database: Database) -> None:
    job = await accepted_training(database)
    for _ in range(2):
        async with database.write() as session:
            await retry_job(session, job.id, NOW)
    async with database.write() as session:
        last = await retry_job(session, job.id, NOW)
    assert (last.state, last.attempt, last.failure) == (JobState.FAILED, 3, FailureReason.GAVE_UP)
    async with database.write() as session:
        assert (await retry_job(session, job.id, NOW)).state is JobState.FAILED


async def test_nothing_is_tried_again_that_nobody_wants(database: Database) -> None:
    job = await accepted_training(database)
    async with database.write() as session:
        (await session.get_one(Job, job.id)).cancel_requested_at = NOW
    async with database.write() as session:
        assert (await retry_job(session, job.id, NOW)).state is JobState.CANCELLED


@pytest.mark.parametrize(
    ("outcome", "messages"),
    [
        (JobState.SUCCEEDED, {DeliveryKind.CARD, DeliveryKind.RESULT}),
        (JobState.FAILED, {DeliveryKind.CARD, DeliveryKind.RESULT}),
        (JobState.CANCELLED, {DeliveryKind.CARD}),
    ],
)
async def test_a_training_ends_with_one_message(
    database: Database, outcome: JobState, messages: set[DeliveryKind]
) -> None:
    job = await accepted_training(database)
    async with database.write() as session:
        await mark_card_posted(session, job.id, 77)
    for _ in range(2):
        async with database.write() as session:
            if outcome is JobState.SUCCEEDED:
                await apply_event(session, trained(job), NOW)
            elif outcome is JobState.FAILED:
                await fail_job(session, job.id, FailureReason.DIVERGED, NOW)
            elif (await session.get_one(Job, job.id)).state is not outcome:
                await request_cancel(session, job.id, ANN, NOW)
    async with database.read() as session:
        deliveries = (await session.scalars(select(Delivery))).all()
    assert {delivery.kind for delivery in deliveries} == messages
    assert len(deliveries) == len(messages)
    assert [delivery.dirty for delivery in deliveries if delivery.kind is DeliveryKind.CARD] == [True]


async def test_finding_jobs_and_their_pictures(database: Database) -> None:
    training, picture = await accepted_training(database), await accepted_imagining(database)
    async with database.read() as session:
        assert [job.id for job in await active_jobs(session, ANN)] == sorted([training.id, picture.id])
        assert await active_jobs(session, BOB) == []
        assert await find_job(session, "0" * 32) is None
        assert await pictures_of(session, picture.id) == []
    await ended(database, picture)
    async with database.read() as session:
        assert [job.id for job in await active_jobs(session, ANN)] == [training.id]
        assert [image.seed for image in await pictures_of(session, picture.id)] == [7]
        assert (await session.get_one(Job, training.id)).guild_id == GUILD
