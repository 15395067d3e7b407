from datetime import timedelta

from storage.contract import Queued
from storage.database import Database
from storage.deliveries import (
    EDIT_INTERVAL,
    POST_GRACE,
    due_deliveries,
    find_delivery,
    mark_card_posted,
    mark_sent,
    mark_undeliverable,
    postpone,
)
from storage.events import apply_event
from storage.imaginings import accept_imagining
from storage.schema import Delivery, DeliveryKind, DeliveryState, Job
from tests.storage.examples import NOW, accepted_imagining, accepted_training, imagined, new_imagining, trained

SECOND = timedelta(seconds=1)


async def due(database: Database, after: timedelta) -> list[DeliveryKind]:
    async with database.read() as session:
        return [delivery.kind for delivery in await due_deliveries(session, NOW + after)]


async def card_of(database: Database, job: Job) -> Delivery:
    async with database.write() as session:
        card = await find_delivery(session, job.id, DeliveryKind.CARD)
    assert card is not None
    return card


async def posted(database: Database, job: Job) -> Delivery:
    async with database.write() as session:
        await mark_card_posted(session, job.id, 77)
    return await card_of(database, job)


async def happen(database: Database, job: Job, seq: int) -> None:
    async with database.write() as session:
        await apply_event(session, Queued(job=job.id, attempt=1, seq=seq), NOW)


async def test_the_command_has_its_time_to_post_the_card(database: Database) -> None:
    job = await accepted_training(database)
    await happen(database, job, 1)
    assert await due(database, POST_GRACE - SECOND) == []
    assert await due(database, POST_GRACE) == [DeliveryKind.CARD]
    card = await posted(database, job)
    assert (card.state, card.message_id) == (DeliveryState.SENT, 77)
    assert await due(database, timedelta()) == [DeliveryKind.CARD]  # what happened meanwhile is still to be shown


async def test_a_quick_end_does_not_post_the_card_beside_the_command(database: Database) -> None:
    job = await accepted_imagining(database)
    async with database.write() as session:
        await apply_event(session, imagined(job), NOW)
    assert await due(database, POST_GRACE - SECOND) == []
    await posted(database, job)
    assert await due(database, timedelta()) == [DeliveryKind.CARD]


async def test_a_card_is_edited_only_when_it_is_old(database: Database) -> None:
    job = await accepted_training(database)
    card = await posted(database, job)
    assert await due(database, POST_GRACE) == []

    await happen(database, job, 1)
    seen = await card_of(database, job)
    await happen(database, job, 2)  # while the edit is on its way
    async with database.write() as session:
        await mark_sent(session, card.id, 77, seen.revision, NOW)
    assert await due(database, EDIT_INTERVAL - SECOND) == []
    assert await due(database, EDIT_INTERVAL) == [DeliveryKind.CARD]

    seen = await card_of(database, job)
    async with database.write() as session:
        await mark_sent(session, card.id, 77, seen.revision, NOW)
    assert await due(database, timedelta(hours=1)) == []


async def test_the_end_is_shown_at_once(database: Database) -> None:
    job = await accepted_training(database)
    card = await posted(database, job)
    async with database.write() as session:
        await mark_sent(session, card.id, 77, card.revision, NOW)
        await apply_event(session, trained(job), NOW)
    assert sorted(await due(database, timedelta())) == [DeliveryKind.CARD, DeliveryKind.RESULT]


async def test_the_token_of_a_private_reply_is_kept_no_longer_than_needed(database: Database) -> None:
    async with database.write() as session:
        job = await accept_imagining(session, new_imagining(), NOW)
        card = await find_delivery(session, job.id, DeliveryKind.CARD)
        assert card is not None
        card.webhook_token = "secret"
    assert "secret" not in repr(card)
    await posted(database, job)
    async with database.write() as session:
        await mark_sent(session, card.id, 77, 0, NOW)
    assert (await card_of(database, job)).webhook_token == "secret"

    async with database.write() as session:
        await apply_event(session, imagined(job), NOW)
    seen = await card_of(database, job)
    async with database.write() as session:
        await mark_sent(session, card.id, 77, seen.revision, NOW)
    assert (await card_of(database, job)).webhook_token is None


async def test_a_failed_try_is_counted_and_put_off(database: Database) -> None:
    job = await accepted_imagining(database)
    card = await card_of(database, job)
    async with database.write() as session:
        await postpone(session, card.id, NOW + timedelta(minutes=5))
    assert await due(database, timedelta(minutes=4)) == []
    assert await due(database, timedelta(minutes=5)) == [DeliveryKind.CARD]
    assert (await card_of(database, job)).attempts == 1


async def test_what_cannot_be_delivered_is_left_alone(database: Database) -> None:
    job = await accepted_imagining(database)
    card = await card_of(database, job)
    async with database.write() as session:
        await mark_undeliverable(session, card.id, NOW)
        await apply_event(session, imagined(job), NOW)
    assert await due(database, timedelta(days=1)) == []
    await posted(database, job)
    assert (await card_of(database, job)).state is DeliveryState.UNDELIVERABLE


async def test_waiting_cards_learn_of_their_new_places(database: Database) -> None:
    first, second = await accepted_imagining(database), await accepted_imagining(database, at=NOW + SECOND)
    for job in (first, second):
        await posted(database, job)
    async with database.write() as session:
        await apply_event(session, imagined(first), NOW)
    assert (await card_of(database, second)).dirty
