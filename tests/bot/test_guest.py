"""Where only a person's own installation brings the bot: it answers, and can do no more."""

import discord
import pytest

from storage.schema import JobState
from tests.bot.conftest import World, answer, shown
from tests.bot.made import drawn
from tests.bot.test_imagine import finished, only_job
from tests.bot.test_train import GOOD, agree


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked for now is asked for through the asker's own installation."""
    monkeypatch.setattr(discord.Interaction, "is_user_integration", lambda _: True)
    monkeypatch.setattr(discord.Interaction, "is_guild_integration", lambda _: False)


@pytest.mark.usefixtures("guest")
async def test_its_pictures_are_for_the_asker_alone_and_shown_in_the_answer(world: World) -> None:
    seen = len(world.seen_by(world.ben))
    result = await world.ada.slash(world.channel, "imagine", prompt="a boat", private=False)
    assert result.ephemeral
    await drawn(world, await only_job(world))
    await world.deliver()
    assert "AI-made" in answer(result)
    await world.ada.click(shown(result), label="Again")
    assert (await only_job(world)).private
    assert len(world.seen_by(world.ben)) == seen


async def test_what_it_adds_to_a_card_that_all_see_is_for_the_presser_alone(
    world: World, request: pytest.FixtureRequest
) -> None:
    job, message = await finished(world, "a boat")
    assert not job.private
    request.getfixturevalue("guest")
    assert (await world.ben.click(message, label="Again")).ephemeral
    assert (await only_job(world, world.ben)).private


@pytest.mark.usefixtures("guest")
async def test_it_does_not_begin_a_training_that_it_could_not_show(world: World) -> None:
    await agree(world, world.ada)
    photos = {f"photo{number}": (f"{number}.jpg", data) for number, data in enumerate(GOOD, start=1)}
    told = answer(await world.ada.slash(world.channel, "train", name="rex", **{"class": "dog"}, **photos))
    assert "I am only a guest here" in told
    assert await world.active(world.ada) == []


@pytest.mark.usefixtures("guest")
async def test_in_its_own_direct_messages_it_is_at_home(world: World) -> None:
    await agree(world, world.ada)
    photos = {f"photo{number}": (f"{number}.jpg", data) for number, data in enumerate(GOOD, start=1)}
    asked = await world.ada.user.slash("train", name="rex", **{"class": "dog"}, **photos)
    await world.ada.user.click(shown(asked), label="Train")
    assert (await only_job(world)).state is JobState.ACCEPTED


async def test_people_may_bring_every_command_but_those_of_operators(world: World) -> None:
    for command in world.bot.tree.get_commands():
        sent = command.to_dict(world.bot.tree)
        expected = ([0], [0]) if command.name == "admin" else ([0, 1], [0, 1, 2])
        assert (sent["integration_types"], sent["contexts"]) == expected
