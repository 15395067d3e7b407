"""`/admin reports`: what people reported, decided about once, by operators alone, also after a restart."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simcord.actors import MemberActor
from simcord.results import ResponseMessage
from sqlalchemy import select

from bot.views.report_list import PAGE_CASES, Shown, render
from storage.reports import MAX_NOTE_CHARS, Case, Reason, add_report
from storage.schema import JobState, Model, ModelStatus, Report
from tests.bot.conftest import Restart, World, answer, shown, words
from tests.bot.made import drawn, trained
from tests.bot.payloads import check_message
from tests.bot.test_layouts import TIMES, file, jobs, models

LINK = f"https://discord.com/channels/{'9' * 19}/{'9' * 19}/{'9' * 19}"


async def reported(world: World, prompt: str = "a boat", note: str = "*That* is me @everyone") -> ResponseMessage:
    """Let Ada draw something, and Ben report it; returns the card."""
    card = shown(await world.ada.slash(world.channel, "imagine", prompt=prompt))
    (job,) = await world.active(world.ada)
    await drawn(world, job)
    await world.deliver(after=5)
    form = await world.ben.click(card, label="Report")
    await world.ben.submit_modal(form, {"reason": ["person"], "note": note})
    return card


async def desk(world: World, operator: MemberActor) -> ResponseMessage:
    return shown(await operator.slash(world.channel, "admin reports"))


async def test_shows_what_was_reported_with_the_picture_hidden(world: World, operator: MemberActor) -> None:
    await trained(world, world.ada)
    card = await reported(world, "rex at sea")
    page = await desk(world, operator)
    told = words(page.message)
    for fact in (str(card.message.id), f"<@{world.ada.id}>", f"<@{world.ben.id}>", "`rex at sea`", "**rex**"):
        assert fact in told
    assert "It shows somebody who did not agree" in told
    assert "`*That* is me @everyone`" in told
    assert world.pinged(page.message) == set()
    assert "'spoiler': True" in str([part.to_dict() for part in page.message.components])


async def test_a_dismissal_leaves_the_picture(world: World, operator: MemberActor, restart: Restart) -> None:
    await reported(world)
    page = await desk(world, operator)
    await restart()
    assert "Dismissed." in answer(await operator.click(page, label="Dismiss"))
    assert "Nobody has reported anything" in words(page.message)
    assert len(await world.services.blobs.list("pictures")) == 1


async def test_removing_deletes_the_pictures_from_the_card_too(world: World, operator: MemberActor) -> None:
    card = await reported(world)
    await operator.click(await desk(world, operator), label="Remove the pictures")
    await world.deliver(after=5)
    assert "These pictures are deleted." in words(card.message)
    assert await world.services.blobs.list("pictures") == []


async def test_taking_down_withdraws_the_model_and_tells_its_owner(world: World, operator: MemberActor) -> None:
    rex = await trained(world, world.ada)
    await reported(world, "rex at sea")
    told = answer(await operator.click(await desk(world, operator), label="Take the model down"))
    assert f"**rex**, of <@{world.ada.id}>, is taken down" in told
    async with world.services.database.read() as session:
        assert (await session.get_one(Model, rex.id)).status is ModelStatus.TAKEN_DOWN
    assert await world.services.blobs.list("pictures") == []


async def test_blocking_stops_whoever_asked(world: World, operator: MemberActor) -> None:
    await reported(world)
    await world.ada.slash(world.channel, "imagine", prompt="a ship")
    (waiting,) = await world.active(world.ada)
    await operator.click(await desk(world, operator), label="Block who asked")
    refused = answer(await world.ada.slash(world.channel, "imagine", prompt="a boat"))
    assert "You cannot use me any more." in refused
    assert "It shows somebody who did not agree" in refused
    assert (await world.job(waiting.id)).state is JobState.CANCELLED


async def test_two_operators_decide_once(world: World, operator: MemberActor) -> None:
    await reported(world)
    first, second = await desk(world, operator), await desk(world, operator)
    await operator.click(first, label="Dismiss")
    assert f"<@{operator.id}> has decided about that already: dismissed." in answer(
        await operator.click(second, label="Remove the pictures")
    )
    assert len(await world.services.blobs.list("pictures")) == 1
    assert "Nobody has reported anything" in words(second.message)


@pytest.mark.parametrize("label", ["Dismiss", "Look again"])
async def test_every_press_asks_who_presses(
    world: World, operator: MemberActor, manager: MemberActor, restart: Restart, label: str
) -> None:
    """The list is for one operator's eyes; but who was one yesterday may have it open."""
    await reported(world)
    page = await desk(world, operator)
    nobody = world.services.settings.model_copy(update={"operators": "7"})
    world.services = replace(world.services, settings=nobody)
    await restart()
    assert "That is for those who run this bot." in answer(await operator.click(page, label=label))
    assert "That is for those who run this bot." in answer(await manager.slash(world.channel, "admin reports"))
    async with world.services.database.read() as session:
        assert [report.verdict for report in await session.scalars(select(Report))] == [None]


async def test_the_notice_where_operators_read_can_be_decided_about(world: World, operator: MemberActor) -> None:
    channel = world.guild.create_text_channel("reports")
    told = world.services.settings.model_copy(update={"reports_channel_id": channel.id})
    world.services = world.bot.services = replace(world.services, settings=told)
    await reported(world)
    (notice,) = channel.history()
    assert "That is for those who run this bot." in answer(await world.ada.click(notice, label="Remove the pictures"))
    assert "The pictures are deleted" in answer(await operator.click(notice, label="Remove the pictures"))
    assert "has decided about that already: removed." in answer(await operator.click(notice, label="Dismiss"))


async def test_many_are_leafed_through(world: World, operator: MemberActor) -> None:
    for number in range(PAGE_CASES + 1):
        world.clock.advance(60)
        await world.ada.slash(world.channel, "imagine", prompt=f"boat {number}")
        (job,) = await world.active(world.ada)
        await drawn(world, job)
        async with world.services.database.write() as session:
            await add_report(session, job.id, world.ben.id, Reason.OTHER, "", world.clock())
    page = await desk(world, operator)
    assert f"Page 1 of 2 · {PAGE_CASES + 1} cards" in words(page.message)
    await operator.click(page, label="Next")
    assert f"`boat {PAGE_CASES}`" in words(page.message)
    await operator.click(page, label="Dismiss")
    assert "`boat 0`" in words(page.message)


@settings(max_examples=30)
@given(data=st.data(), page=st.integers(0, 3))
def test_discord_takes_the_list(data: st.DataObject, page: int) -> None:
    notes = st.text(st.sampled_from("a`*<@>\\\n\u202e太🐕"), max_size=MAX_NOTE_CHARS)
    shown_cases = []
    for number in range(data.draw(st.integers(0, PAGE_CASES))):
        job = data.draw(jobs())
        reports = [
            Report(
                job_id=job.id,
                reporter_id=person,
                reason=data.draw(st.sampled_from(Reason)),
                note=data.draw(notes),
                at=data.draw(TIMES),
            )
            for person in range(data.draw(st.integers(1, 5)))
        ]
        picture = file(f"reported-{number}") if data.draw(st.booleans()) else None
        model = data.draw(st.none() | models())
        shown_cases.append(Shown(Case(job, reports), model, data.draw(st.none() | st.just(LINK)), picture))
    check_message(render(shown_cases, len(shown_cases) + page * PAGE_CASES, page).view)
