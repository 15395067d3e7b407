"""`/admin pause`, `drain`, `resume`: nothing new, nothing begun, and going on; for operators alone, over restarts."""

import pytest
from simcord.actors import MemberActor

from storage.contract import JobKind
from storage.errors import Paused
from storage.outbox import next_releases
from tests.bot.conftest import Restart, World, answer, shown
from tests.bot.made import begun, drawn

WINDOWS = {JobKind.TRAIN: 8, JobKind.IMAGINE: 8}


async def released(world: World) -> int:
    async with world.services.database.read() as session:
        return len(await next_releases(session, WINDOWS))


async def test_a_pause_takes_in_nothing_and_lets_go_on_what_was_asked_for(
    world: World, operator: MemberActor, restart: Restart
) -> None:
    first = await world.ada.slash(world.channel, "imagine", prompt="a boat")
    (job,) = await world.active(world.ada)
    told = answer(await operator.slash(world.channel, "admin pause", words="Back at **six**, @everyone"))
    assert "Paused." in told
    await restart()

    refused = await world.ada.slash(world.channel, "imagine", prompt="a boat")
    assert len(world.seen_by(world.ben)) == 1
    assert "I take in nothing new right now" in answer(refused)
    assert "> Back at \\*\\*six\\*\\*, \\@everyone" in answer(refused)
    training = await world.ada.slash(world.channel, "train", name="luna", **{"class": "dog"})
    assert "I take in nothing new" in answer(training)
    assert "> Back at" in answer(await operator.slash(world.channel, "admin status"))

    assert await released(world) == 1
    await drawn(world, job)
    await world.deliver(after=5)
    assert "I take in nothing new" in answer(await world.ada.click(shown(first), label="Again"))
    assert await world.active(world.ada) == []

    assert "Going on" in answer(await operator.slash(world.channel, "admin resume"))
    assert "Next in line." in answer(await world.ada.slash(world.channel, "imagine", prompt="a boat"))
    assert "Nothing was paused." in answer(await operator.slash(world.channel, "admin resume"))


async def test_a_pause_holds_in_the_transaction_that_would_promise(world: World, operator: MemberActor) -> None:
    await operator.slash(world.channel, "admin pause")
    with pytest.raises(Paused):
        await begun(world, world.ada)


async def test_draining_begins_nothing_that_waits(world: World, operator: MemberActor, restart: Restart) -> None:
    await world.ada.slash(world.channel, "imagine", prompt="a boat")
    assert "Draining." in answer(await operator.slash(world.channel, "admin drain"))
    await restart()
    assert await released(world) == 0
    assert "I take in nothing new" in answer(await world.ben.slash(world.channel, "imagine", prompt="a boat"))
    wakes = world.queue.wakes
    await operator.slash(world.channel, "admin resume")
    assert (await released(world), world.queue.wakes) == (1, wakes + 1)


@pytest.mark.parametrize("command", ["pause", "drain", "resume"])
async def test_they_are_for_operators_alone(world: World, manager: MemberActor, command: str) -> None:
    told = answer(await manager.slash(world.channel, f"admin {command}"))
    assert told.startswith("That is for those who run this bot.")
    assert "Next in line." in answer(await world.ada.slash(world.channel, "imagine", prompt="a boat"))
