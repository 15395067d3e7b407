"""A training whose photos do not show what its owner said: the question, its answers, and what becomes of photos."""

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path

import discord
import pytest

from bot.result_text import verdict
from storage.class_questions import LIFE
from storage.contract import Failed, FailureReason, JobKind, SubjectKind, TrainRequest
from storage.jobs import find_job
from storage.leftovers import expired_photos, forget_photos
from storage.quotas import recount, used
from storage.schema import Charge, Job, Model
from tests.bot.conftest import Restart, World, answer, choose_model, words
from tests.bot.made import begun

AS_SEEN, ANYWAY = 'Train as "car"', "Train anyway"


async def asked(world: World) -> tuple[Job, discord.Message]:
    """A training of Ada's that a worker has doubts about, and the message that asks her."""
    job = await begun(world, world.ada)
    await world.apply(Failed, job.id, reason=FailureReason.CLASS_DOUBTFUL, seen_class="car")
    await world.deliver(after=20)
    return job, world.channel.history()[-1]


async def drop_photos(world: World, after: timedelta) -> list[str]:
    """Let time pass, and delete the photos that are due then; no photo is kept longer than it is needed."""
    world.clock.advance(after.total_seconds())
    now = world.clock()
    async with world.services.database.write() as session:
        due = await expired_photos(session, now, now - LIFE, 100)
        await forget_photos(session, [photo.id for photo in due])
    return [photo.key for photo in due]


async def request_of(world: World, job: Job) -> TrainRequest:
    async with world.services.database.read() as session:
        found = await find_job(session, job.id)
    assert found is not None
    return TrainRequest.model_validate(found.request)


async def test_the_owner_is_asked_at_no_cost(world: World) -> None:
    job, message = await asked(world)

    said = words(message)
    assert f"<@{world.ada.id}>, a question before I learn **rex**." in said
    assert 'these photos look like "car", and you said "dog"' in said
    assert AS_SEEN in said
    assert ANYWAY in said
    assert world.pinged(message) == {world.ada.id}
    async with world.services.database.read() as session:
        assert await used(session, world.ada.id, JobKind.TRAIN, world.clock()) == 0
        assert (await session.get_one(Charge, job.id)).refunded_at is not None
        assert await recount(session) == []
    card = words(world.channel.history()[0])
    assert "something else than the class says, so nothing was trained" in card
    assert "did not work out" not in card


async def test_the_gallery_says_that_it_asks_until_it_is_too_late(world: World) -> None:
    await asked(world)

    async def said() -> list[str]:
        pages = [await world.ada.slash(world.channel, "models", **how) for how in ({}, {"find": "rex"})]
        return [words(page.response) for page in pages if page.response is not None]

    assert ["asks what its photos show" in page for page in await said()] == [True, True]
    world.clock.advance(LIFE.total_seconds())
    assert ["training failed" in page for page in await said()] == [True, True]


@pytest.mark.parametrize(
    ("label", "noun", "kind"), [(AS_SEEN, "car", SubjectKind.OBJECT), (ANYWAY, "dog", SubjectKind.PET)]
)
async def test_an_answer_begins_the_training(
    world: World, restart: Restart, label: str, noun: str, kind: SubjectKind
) -> None:
    job, message = await asked(world)
    first = await request_of(world, job)
    assert not first.class_agreed
    await restart()

    await world.ada.click(message, label=label)

    (new,) = await world.active(world.ada)
    second = await request_of(world, new)
    assert (second.class_noun, second.subject_kind, second.class_agreed) == (noun, kind, True)
    assert (second.photos, second.seed, second.quality, second.options) == (
        first.photos, first.seed, first.quality, first.options,
    )  # fmt: skip
    async with world.services.database.read() as session:
        model = await session.get_one(Model, new.model_id)
        assert (model.name, model.class_noun, model.photo_count) == ("rex", noun, 3)
        assert await recount(session) == []
    asked_before, card = world.channel.history()[1:]
    assert AS_SEEN not in words(asked_before)
    assert "my question about **rex** is closed" in words(asked_before)
    assert "Next in line." in words(card)
    assert world.pinged(card) == set()
    assert await drop_photos(world, LIFE * 2) == []  # the new training needs them


async def test_a_second_press_begins_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first press died before it came to take the buttons away."""
    _, message = await asked(world)

    async def die(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as dying:
        dying.setattr("bot.results.show_result_of", die)
        with contextlib.suppress(asyncio.CancelledError):
            await world.ada.click(message, label=AS_SEEN)
    assert len(await world.active(world.ada)) == 1

    assert "That is answered already" in answer(await world.ada.click(message, label=ANYWAY))
    assert len(await world.active(world.ada)) == 1


async def test_nobody_else_answers(world: World) -> None:
    _, message = await asked(world)
    told = answer(await world.ben.click(message, label=ANYWAY))
    assert f"That is <@{world.ada.id}>'s model" in told
    assert await world.active(world.ada) == await world.active(world.ben) == []


async def test_another_training_keeps_the_question_open(world: World) -> None:
    _, message = await asked(world)
    other = await begun(world, world.ada, "luna", "cat")
    assert "You have a training under way." in answer(await world.ada.click(message, label=AS_SEEN))
    await world.apply(Failed, other.id, reason=FailureReason.DIVERGED)
    await world.ada.click(message, label=AS_SEEN)
    assert len(await world.active(world.ada)) == 1


async def test_photos_wait_half_a_day_for_an_answer(world: World) -> None:
    _, message = await asked(world)
    assert await drop_photos(world, LIFE - timedelta(minutes=1)) == []
    assert len(await drop_photos(world, timedelta(minutes=2))) == 3

    assert "the photos waited too long" in answer(await world.ada.click(message, label=AS_SEEN))
    assert await world.active(world.ada) == []


async def test_an_answer_comes_too_late_also_where_photos_are_kept(world: World) -> None:
    _, message = await asked(world)
    world.clock.advance(LIFE.total_seconds())
    assert "the photos waited too long" in answer(await world.ada.click(message, label=ANYWAY))
    assert await world.active(world.ada) == []


async def test_deleting_the_model_deletes_the_photos(world: World, tmp_path: Path) -> None:
    _, message = await asked(world)
    await world.ada.click(message, label=AS_SEEN)
    (job,) = await world.active(world.ada)
    gallery = (await world.ada.slash(world.channel, "models")).response
    assert gallery is not None
    await choose_model(gallery, world.ada, str(job.model_id))
    for label in ("Delete", "Delete it for good"):
        await world.ada.click(gallery, label=label)
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


async def test_advice_goes_along(world: World) -> None:
    job, message = await asked(world)
    async with world.services.database.write() as session:
        (await session.get_one(Model, job.model_id)).photo_flaws = ["blurred"]
    await world.ada.click(message, label=AS_SEEN)
    (new,) = await world.active(world.ada)
    async with world.services.database.read() as session:
        assert "blurred" in verdict(await session.get_one(Model, new.model_id))
