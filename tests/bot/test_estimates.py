"""How long a training will take, from the rows and from the rule of thumb."""

import pytest

from bot.estimates import ROUGH_STEPS, Estimate, estimate
from bot.text import estimated
from storage.contract import Quality, SubjectKind, TrainingOptions
from storage.jobs import NewTraining
from tests.bot.conftest import World
from tests.bot.made import begun, trained


def wanted(quality: Quality = Quality.FAST, **options: int) -> NewTraining:
    return NewTraining(
        job="0" * 32, model="0" * 32, interaction_id=1, owner_id=1, guild_id=None, channel_id=1, name="rex",
        class_noun="dog", subject_kind=SubjectKind.PET, quality=quality, photos=(), base="demo", seed=1,
        options=TrainingOptions.model_validate(options),
    )  # fmt: skip


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
    assert await estimated_for(world, wanted()) == Estimate(gpu_seconds=90, ahead=0, measured=True)
    by_hand = await estimated_for(world, wanted(steps=400))
    assert by_hand.gpu_seconds == pytest.approx(180)
    other = await estimated_for(world, wanted(Quality.BEST))
    assert other.gpu_seconds == pytest.approx(ROUGH_STEPS[Quality.BEST] * 90 / 200)


async def test_counts_who_comes_first(world: World) -> None:
    await trained(world, world.ada)
    await begun(world, world.ada, "luna")
    await begun(world, world.ben, "max")
    found = await estimated_for(world, wanted())
    assert (found.ahead, found.seconds) == (2, 270)
    assert estimated(found) == "2 trainings come first: all in all about 4 min, 90 GPU seconds of them for yours."
