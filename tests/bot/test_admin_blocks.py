"""`/admin block`: who is blocked makes nothing, is told so at every command, and can still delete what is theirs."""

import pytest
from simcord.actors import MemberActor

from storage.schema import JobState
from tests.bot.conftest import Restart, World, answer, choose_model, shown
from tests.bot.made import drawn, trained

COMMANDS: list[tuple[str, dict[str, object]]] = [
    ("imagine", {"prompt": "a boat"}),
    ("train", {"name": "luna", "class": "dog"}),
    ("storybook", {"model": "rex"}),
    ("styles", {}),
    ("usage", {}),
]


async def test_a_blocked_person_is_told_so_everywhere(world: World, operator: MemberActor, restart: Restart) -> None:
    card = await world.ada.slash(world.channel, "imagine", prompt="a boat")
    (first,) = await world.active(world.ada)
    await drawn(world, first)
    await world.deliver(after=5)
    await world.ada.slash(world.channel, "imagine", prompt="a ship")
    (waiting,) = await world.active(world.ada)

    told = answer(
        await operator.slash(world.channel, "admin block", user=world.ada, words="No *more*", where="anywhere")
    )
    assert f"<@{world.ada.id}> may make nothing anywhere any more; requests stopped: 1." in told
    assert (await world.job(waiting.id)).state is JobState.CANCELLED
    assert world.queue.stopped == [waiting.id]
    await restart()

    for command, options in COMMANDS:
        refused = await world.ada.slash(world.channel, command, **options)
        assert refused.ephemeral
        assert "You cannot use me any more." in answer(refused), command
        assert "> No \\*more\\*" in answer(refused)
    for label in ("Again", "Vary a lot", "Edit prompt"):
        assert "You cannot use me any more." in answer(await world.ada.click(shown(card), label=label))
    assert await world.active(world.ada) == []
    assert "Next in line." in answer(await world.ben.slash(world.channel, "imagine", prompt="a boat"))

    assert "may use me again anywhere" in answer(
        await operator.slash(world.channel, "admin unblock", user=world.ada, where="anywhere")
    )
    assert " in line." in answer(await world.ada.slash(world.channel, "imagine", prompt="a boat"))


async def test_they_still_delete_what_is_theirs(world: World, operator: MemberActor) -> None:
    rex = await trained(world, world.ada)
    card = await world.ada.slash(world.channel, "imagine", prompt="a boat")
    (job,) = await world.active(world.ada)
    await drawn(world, job)
    await world.deliver(after=5)
    await operator.slash(world.channel, "admin block", user=world.ada, where="anywhere")

    await world.ada.click(shown(card), label="Delete")
    page = shown(await world.ada.slash(world.channel, "models"))
    await choose_model(page, world.ada, rex.id)
    assert "You cannot use me" in answer(await world.ada.click(page, label="Share with this server"))
    await world.ada.click(page, label="Delete")
    await world.ada.click(page, label="Delete it for good")

    assert await world.services.blobs.list("pictures") == []
    assert await world.services.blobs.list("models") == []


async def test_a_manager_blocks_in_their_own_server_alone(world: World, manager: MemberActor) -> None:
    told = answer(await manager.slash(world.channel, "admin block", user=world.ada, where="anywhere"))
    assert told.startswith("That is for those who run this bot.")
    await manager.slash(world.channel, "admin block", user=world.ada)
    assert "You cannot use me in this server any more." in answer(
        await world.ada.slash(world.channel, "imagine", prompt="a boat")
    )
    elsewhere = world.env.create_guild("Another server")
    there = elsewhere.create_text_channel("studio")
    ada = elsewhere.add_member(world.ada)  # type: ignore[arg-type]  # the same person
    again = await ada.slash(there, "imagine", prompt="a boat")
    assert "Next in line." in answer(again)


@pytest.mark.parametrize("whom", ["themselves", "an operator"])
async def test_who_cannot_be_blocked(world: World, manager: MemberActor, operator: MemberActor, whom: str) -> None:
    user = {"themselves": manager, "an operator": operator}[whom]
    assert "cannot be blocked" in answer(await manager.slash(world.channel, "admin block", user=user))
