"""`/admin test`: each part is tried as it is, and what fails says so in words."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simcord.actors import MemberActor
from sqlalchemy import select

from bot import selftest
from bot.admin_text import Part
from bot.selftest import Check, Outcome
from bot.views.checklist import render
from storage.contract import Failed, FailureReason
from storage.schema import CommandList
from tests.bot.conftest import World, answer
from tests.bot.made import drawn
from tests.bot.payloads import check_message
from tests.bot.test_admin import ENGINE, worker


async def carry_out(world: World, operator: MemberActor, *, fails: bool) -> str:
    """Give the command, and be the worker that draws its picture."""

    async def work() -> None:
        while not (jobs := await world.active(operator)):  # noqa: ASYNC110 - the rows change in the command
            await asyncio.sleep(0.01)
        if fails:
            await world.apply(Failed, jobs[0].id, reason=FailureReason.OUT_OF_MEMORY)
        else:
            await drawn(world, jobs[0])

    async with asyncio.TaskGroup() as group:
        working = group.create_task(work())
        result = await operator.slash(world.channel, "admin test")
        working.cancel()
    return answer(result)


async def test_everything_works_and_nothing_stays_of_it(world: World, operator: MemberActor) -> None:
    world.queue.statuses = [worker(ENGINE)]
    told = await carry_out(world, operator, fails=False)
    assert told.count("✓ works") == len(Part)
    assert "Everything works." in told
    assert "1 with the base model loaded, on cuda" in told
    assert await world.services.blobs.list("pictures") == await world.services.blobs.list("samples") == []
    async with world.services.database.read() as session:
        places = (await session.scalars(select(CommandList.place))).all()
    assert [place for place in places if place.startswith("test")] == []


async def test_what_fails_says_so(world: World, operator: MemberActor, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_key: str, _data: bytes) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(world.services.blobs, "put", full)
    told = await carry_out(world, operator, fails=True)
    assert "✗ fails** · Blob store: a file stored, read and removed · OSError" in told
    assert "✗ fails** · Redis answers" in told
    assert "– not tried** · A worker for my base model" in told
    assert "✗ fails** · A picture drawn by a worker, and forgotten · It did not fit" in told
    assert "Something needs you" in told


async def test_without_a_worker_nothing_is_drawn(world: World, operator: MemberActor) -> None:
    world.queue.statuses, world.queue.alive = [], False
    told = answer(await operator.slash(world.channel, "admin test"))
    assert "✗ fails** · A worker for my base model · There is none" in told
    assert "– not tried** · A picture" in told


async def test_a_picture_that_does_not_come_is_given_up(
    world: World, operator: MemberActor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selftest, "DRAW_SECONDS", 0.1)
    assert "nothing came within 0 s" in answer(await operator.slash(world.channel, "admin test"))
    assert await world.active(operator) == []


async def test_it_is_for_operators_alone(world: World, manager: MemberActor) -> None:
    assert "for those who run this bot" in answer(await manager.slash(world.channel, "admin test"))


@settings(max_examples=20)
@given(st.lists(st.builds(Check, st.sampled_from(Part), st.sampled_from(Outcome), st.text()), max_size=len(Part)))
def test_discord_takes_the_checklist(checks: list[Check]) -> None:
    check_message(render(checks))
