"""Quotas as people meet them: a refusal that says when to come back, and nothing taken for what we could not do."""

from dataclasses import replace

import discord
import pytest
from simcord.results import InteractionResult

from bot.consent import ConsentText
from storage.contract import Failed, FailureReason
from storage.people import record_consent
from tests.bot import photos
from tests.bot.conftest import World, answer, shown
from tests.bot.made import drawn, trained

DAY = 24 * 3600


@pytest.fixture
def world(world: World) -> World:
    limits = {"max_pictures_per_day": 4, "max_trainings_per_day": 1}
    world.services = replace(world.services, settings=world.services.settings.model_copy(update=limits))
    world.bot.services = world.services
    return world


async def imagine(world: World, count: int = 1) -> InteractionResult:
    return await world.ada.slash(world.channel, "imagine", prompt="a boat", count=count)


async def draw_all(world: World) -> None:
    for job in await world.active(world.ada):
        await drawn(world, job)


def stamp(world: World, seconds: float, style: str) -> str:
    return f"<t:{int(world.clock.now.timestamp() + seconds)}:{style}>"


async def test_says_how_many_pictures_are_left_and_when_more_fit(world: World) -> None:
    await imagine(world, count=3)
    await draw_all(world)
    world.clock.advance(60)

    refused = await imagine(world, count=2)

    assert len(world.seen_by(world.ben)) == 1
    assert "You have 1 of your 4 pictures in 24 hours left: ask for fewer at once." in answer(refused)
    assert f"So many will fit {stamp(world, DAY - 60, 'R')}, at {stamp(world, DAY - 60, 't')}." in answer(refused)
    assert "Next in line." in answer(await imagine(world))
    await draw_all(world)
    assert "You have had your 4 pictures of the last 24 hours. There will be more" in answer(await imagine(world))
    assert len(world.channel.history()) == 2
    world.clock.advance(DAY)
    assert "Next in line." in answer(await imagine(world, count=4))


async def test_again_counts_too(world: World) -> None:
    result = await imagine(world, count=4)
    await draw_all(world)
    await world.deliver()
    assert result.response is not None

    refused = await world.ada.click(result.response, label="Again")

    assert "You have had your 4 pictures" in answer(refused)
    assert await world.active(world.ada) == []


async def test_a_failure_of_ours_costs_nothing(world: World) -> None:
    for _ in range(2):
        await imagine(world, count=4)
        (job,) = await world.active(world.ada)
        await world.apply(Failed, job.id, reason=FailureReason.ENGINE_DIED)
    assert "Next in line." in answer(await imagine(world, count=4))


async def test_a_training_too_many_is_refused_before_its_photos_are_fetched(world: World) -> None:
    text = ConsentText.of(world.services.settings)
    async with world.services.database.write() as session:
        await record_consent(session, world.ada.id, text.version, text.digest, 1, world.clock())
    await trained(world, world.ada)
    fetched = []

    async def fetch(attachment: discord.Attachment) -> bytes:
        fetched.append(attachment.filename)
        return await attachment.read()

    world.bot.services = replace(world.services, fetch=fetch)
    attached = {f"photo{number}": (f"{number}.jpg", data) for number, data in enumerate(photos.drawn(3), start=1)}
    world.clock.advance(3600)

    refused = await world.ada.slash(world.channel, "train", name="luna", **{"class": "dog"}, **attached)
    assert refused.ephemeral
    assert "You have had your 1 training of the last 24 hours." in answer(refused)
    assert f"You can start the next one {stamp(world, DAY - 3600, 'R')}" in answer(refused)
    assert fetched == []

    world.clock.advance(DAY)
    asked = await world.ada.slash(world.channel, "train", name="luna", **{"class": "dog"}, **attached)
    assert "Next in line." in answer(await world.ada.click(shown(asked), label="Train"))
