"""/jobs as people use it: what they asked for, what came of it, and a way to everything that was made."""

from datetime import timedelta
from typing import Any

import discord
import pytest
from simcord.actors import MemberActor
from simcord.results import ResponseMessage

from storage.contract import Failed, FailureReason, Stage, Started, Step
from storage.history import HISTORY
from storage.jobs import pictures_of
from storage.schema import Job
from tests.bot.conftest import Restart, World, answer, choose_model, words
from tests.bot.made import begun, drawn, trained


async def listed(world: World, who: MemberActor | None = None) -> ResponseMessage:
    result = await (who or world.ada).slash(world.channel, "jobs")
    assert result.response is not None
    assert result.ephemeral
    return result.response


async def imagine(world: World, prompt: str, **options: Any) -> Job:
    await world.ada.slash(world.channel, "imagine", prompt=prompt, **options)
    return (await world.active(world.ada))[-1]


def said(message: ResponseMessage) -> str:
    return words(message.message)


def link(world: World, message: discord.Message) -> str:
    return f"https://discord.com/channels/{world.guild.id}/{world.channel.id}/{message.id}"


async def test_tells_a_newcomer_what_there_is(world: World) -> None:
    page = await listed(world)
    assert "Your jobs of the last 14 days" in said(page)
    assert "There are none. `/imagine` draws a picture" in said(page)


async def test_lists_what_waits_runs_and_has_ended(world: World) -> None:
    asked = int(world.clock.now.timestamp())
    rex = await trained(world, world.ada)
    await world.deliver(after=20)
    picture = await imagine(world, "rex on the moon", count=2)
    await drawn(world, picture)
    await world.deliver(after=5)
    broken = await imagine(world, "a broken `boat`")
    await world.apply(Failed, broken.id, reason=FailureReason.OUT_OF_MEMORY)
    await imagine(world, "a boat")
    luna = await begun(world, world.ada, "luna", "cat")
    await world.apply(Started, luna.id, worker="w", steps=400)
    await world.apply(Step, luna.id, stage=Stage.TRAINING, step=100, steps=400)
    await world.deliver(after=20)

    shown = said(await listed(world))

    training, result, drawing = (link(world, world.channel.history()[position]) for position in (0, 1, 2))
    assert f"Training of **{rex.name}**\nLearned in 2 min.\n-# <t:{asked}:R> · [in the channel]({result})" in shown
    assert training not in shown
    assert "2 pictures of **rex**: `rex on the moon`\nDrawn in 2 s." in shown
    assert f"[in the channel]({drawing})" in shown
    assert "Picture: `a broken ˋboatˋ`\nIt did not work out. It did not fit into the graphics card's memory." in shown
    assert "does not count towards your limit" in shown
    assert "Picture: `a boat`\nNext in line." in shown
    assert "Training of **luna**\nLearning, step 100 of 400." in shown
    assert "3 of 200 pictures in 24 hours · 2 of 10 trainings in 24 hours" in shown


async def test_shows_only_the_askers_own_jobs(world: World) -> None:
    job = await imagine(world, "a secret boat")
    await drawn(world, job)
    await world.deliver()
    page = await listed(world)

    assert "secret" not in said(await listed(world, world.ben))
    button = next(part for part in _parts(page.components) if part.get("label") == "Show")
    stolen = await world.ben.slash(world.channel, "jobs")
    assert button["custom_id"].endswith(job.id)
    assert job.id not in str(stolen.response and stolen.response.components)


def _parts(components: Any) -> list[dict[str, Any]]:
    if isinstance(components, list):
        return [part for item in components for part in _parts(item)]
    part = components if isinstance(components, dict) else components.to_dict()
    held = [*part.get("components", []), *([part["accessory"]] if part.get("accessory") else [])]
    return [part, *_parts(held)]


async def test_leafs_through_many_after_a_restart_too(world: World, restart: Restart) -> None:
    for number in range(12):
        world.clock.advance(60)
        job = await imagine(world, f"boat {number:02}")
        await drawn(world, job)
    page = await listed(world)
    assert "Page 1 of 3 · 12 jobs" in said(page)
    assert [f"boat {number:02}" in said(page) for number in (11, 7, 6)] == [True, True, False]
    assert "Previous" not in said(page)
    await restart()
    await world.ada.click(page, label="Next")
    await world.ada.click(page, label="Next")
    assert "Page 3 of 3" in said(page)
    assert [f"boat {number:02}" in said(page) for number in (2, 1, 0)] == [False, True, True]
    assert "Next" not in said(page)


async def test_forgets_what_is_long_over_but_not_what_still_waits(world: World) -> None:
    old = await imagine(world, "an old boat")
    await drawn(world, old)
    await imagine(world, "a patient boat")
    world.clock.advance((HISTORY + timedelta(days=1)).total_seconds())

    shown = said(await listed(world))

    assert "an old boat" not in shown
    assert "a patient boat" in shown


async def test_what_was_drawn_is_not_lost_with_its_channel(world: World, restart: Restart) -> None:
    job = await imagine(world, "a boat", count=2)
    world.env.backend.delete_channel(world.channel.id)
    await drawn(world, job)
    await world.deliver()
    world.channel = world.guild.create_text_channel("elsewhere")

    page = await listed(world)
    assert "I could not post it: the channel is gone or closed to me. `/settings` lets me write" in said(page)
    assert "in the channel" not in said(page).replace("in the channel where", "")
    await restart()
    await world.ada.click(page, label="Show")

    assert [file.filename for file in page.message.attachments] == ["picture-1.png", "picture-2.png"]
    await world.ada.click(page, label="Back")
    assert "Your jobs of the last" in said(page)
    assert page.message.attachments == []


async def test_a_trained_model_is_not_lost_with_its_channel(world: World) -> None:
    await begun(world, world.ada, "luna", "cat")
    (job,) = await world.active(world.ada)
    world.env.backend.delete_channel(world.channel.id)
    await world.apply(Failed, job.id, reason=FailureReason.DIVERGED)
    await trained(world, world.ada)
    await world.deliver(after=20)
    world.channel = world.guild.create_text_channel("elsewhere")

    page = await listed(world)
    await world.ada.click(page, label="Show")

    assert "**rex** is ready" in said(page)
    assert {"Imagine", "Download"} <= {part.get("label") for part in _parts(page.components)}
    assert page.message.attachments


async def test_cancels_from_the_list(world: World) -> None:
    await imagine(world, "a boat")
    page = await listed(world)

    told = await world.ada.click(page, label="Cancel")
    assert "Cancelled. It had not begun" in answer(told)
    await world.ada.click(page, label="Look again")

    assert "Cancelled." in said(page)
    assert "does not count towards your limit" in said(page)
    assert "0 of 200 pictures" in said(page)


async def test_deleting_from_the_list_takes_the_pictures_out_of_the_channel(world: World) -> None:
    job = await imagine(world, "a boat")
    await drawn(world, job)
    await world.deliver()
    assert world.channel.history()[-1].attachments
    page = await listed(world)
    await world.ada.click(page, label="Show")

    await world.ada.click(page, label="Delete")
    await world.deliver()

    assert world.channel.history()[-1].attachments == []
    assert "These pictures are deleted." in words(world.channel.last_message)
    assert "the pictures are deleted" in said(await listed(world))
    async with world.services.database.read() as session:
        assert list(await pictures_of(session, job.id)) == []


async def test_a_deleted_model_stands_without_its_name(world: World) -> None:
    rex = await trained(world, world.ada)
    gallery = await world.ada.slash(world.channel, "models")
    assert gallery.response is not None
    await choose_model(gallery.response, world.ada, rex.id)
    await world.ada.click(gallery.response, label="Delete")
    await world.ada.click(gallery.response, label="Delete it for good")

    page = await listed(world)

    assert "Training of a deleted model" in said(page)
    assert not any(part.get("label") == "Show" for part in _parts(page.components))


@pytest.mark.parametrize("private", [True, False])
async def test_private_pictures_are_shown_again(world: World, private: bool) -> None:
    job = await imagine(world, "a boat", private=private)
    await drawn(world, job)
    await world.deliver()

    page = await listed(world)

    assert ("[in the channel]" in said(page)) is not private
    await world.ada.click(page, label="Show")
    assert len(page.message.attachments) == 1
