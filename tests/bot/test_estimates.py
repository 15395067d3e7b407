"""How long a training will take, from the rows and from the rule of thumb."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from bot.cost_text import estimated
from bot.estimates import ROUGH_STEPS, Estimate, estimate
from storage.contract import JobKind, Quality, SubjectKind, TrainingOptions
from storage.schema import Job
from storage.trainings import NewPhoto, NewTraining
from tests.bot.conftest import World
from tests.bot.made import begun, trained


def wanted(quality: Quality = Quality.FAST, photos: int = 3, **options: int) -> NewTraining:
    photo = NewPhoto(key="photos/0/0.png", sha256="0" * 64, width=512, height=512)
    return NewTraining(
        job="0" * 32, model="0" * 32, interaction_id=1, owner_id=1, guild_id=None, channel_id=1, name="rex",
        class_noun="dog", subject_kind=SubjectKind.PET, quality=quality, photos=(photo,) * photos, base="demo", seed=1,
        options=TrainingOptions.model_validate(options),
    )  # fmt: skip


def about(seconds: float | tuple[float, ...]) -> Any:
    """What cannot be told apart yet is shared out: a second more or less in a thousand."""
    return pytest.approx(seconds, rel=1e-3)


async def estimated_for(world: World, training: NewTraining) -> Estimate:
    async with world.services.database.read() as session:
        return await estimate(session, training)


async def test_says_that_it_guesses_where_nothing_was_trained_yet(world: World) -> None:
    guess = await estimated_for(world, wanted(steps=100))
    assert guess == Estimate(gpu_seconds=50, ahead=0, measured=False)
    assert estimated(guess).startswith("It takes about 50 s, 50 GPU seconds. That is a first guess")


async def test_goes_by_what_its_like_took(world: World) -> None:
    """The trainings in the rows took 90 s for 200 steps, of a pet and in fast quality."""
    await trained(world, world.ada)
    found = await estimated_for(world, wanted())
    assert found.gpu_seconds == about(90)
    assert (found.ahead, found.measured) == (0, True)
    by_hand = await estimated_for(world, wanted(steps=400))
    assert by_hand.gpu_seconds == about(180)
    longer = await estimated_for(world, wanted(Quality.BEST))
    assert longer.gpu_seconds == about(90 * ROUGH_STEPS[Quality.BEST] / ROUGH_STEPS[Quality.FAST])
    assert (await estimated_for(world, wanted(photos=6))).gpu_seconds == about(90 / 0.6)


async def test_tells_what_steps_take_from_what_comes_beside_them(world: World) -> None:
    """Each took a minute, and a fifth of a second for each step."""
    for number, steps in enumerate((100, 300, 200)):
        model = await trained(world, world.ada, f"rex{number}")
        async with world.services.database.write() as session:
            change = update(Job).where(Job.model_id == model.id, Job.kind == JobKind.TRAIN)
            await session.execute(change.values(steps=steps, seconds=60 + steps / 5))
    assert (await estimated_for(world, wanted(steps=400))).gpu_seconds == about(140)
    assert (await estimated_for(world, wanted())).gpu_seconds == about(100)


async def test_a_new_class_takes_class_images(world: World) -> None:
    """The first of each class took twenty seconds more."""
    for number, (noun, steps, extra) in enumerate(
        [("dog", 100, 20), ("cat", 300, 20), ("dog", 200, 0), ("cat", 90, 0)]
    ):
        model = await trained(world, world.ada, f"rex{number}", noun)
        async with world.services.database.write() as session:
            change = update(Job).where(Job.model_id == model.id, Job.kind == JobKind.TRAIN)
            await session.execute(change.values(steps=steps, seconds=10 + steps / 5 + extra))
    assert (await estimated_for(world, wanted(steps=400))).gpu_seconds == about(90)
    new = replace(wanted(steps=400), class_noun="fox")
    assert (await estimated_for(world, new)).gpu_seconds == about(110)


async def test_few_photos_take_fewer_steps_from_the_beginning(world: World) -> None:
    few, some, many = [(await estimated_for(world, wanted(photos=count))).gpu_seconds for count in (3, 6, 10)]
    assert (few / some, many / some) == about((0.6, 1.1))


async def test_counts_who_comes_first(world: World) -> None:
    await trained(world, world.ada)
    await begun(world, world.ada, "luna")
    await begun(world, world.ben, "max")
    found = await estimated_for(world, wanted())
    assert found.ahead == 2
    assert found.seconds == about(270)
    assert estimated(found) == "2 trainings come first: all in all about 4 min, 90 GPU seconds of them for yours."
