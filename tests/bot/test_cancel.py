"""/cancel and the card's button: for the owner alone, and truthful about what came of it."""

from typing import Any

import pytest

from storage.contract import Cancelled, Queued, Started
from storage.schema import JobState
from tests.bot.conftest import Restart, World, answer, words
from tests.bot.made import begun, drawn


async def posted(world: World) -> None:
    """Let the card stand in the channel, as after a command that could not post it."""
    await world.deliver(after=20)


async def test_cancels_what_has_not_begun(world: World) -> None:
    job = await begun(world, world.ada)
    await posted(world)
    result = await world.ada.slash(world.channel, "cancel")
    assert result.ephemeral
    assert "Cancelled. It had not begun" in answer(result)
    assert (await world.job(job.id)).state is JobState.CANCELLED
    await world.deliver()
    assert "Cancelled." in words(world.channel.last_message)
    assert "Cancel\n" not in words(world.channel.last_message) + "\n"


async def test_asks_the_worker_to_stop_what_runs(world: World) -> None:
    job = await begun(world, world.ada)
    await posted(world)
    await world.apply(Queued, job.id)
    await world.apply(Started, job.id, worker="w", steps=100)
    result = await world.ada.slash(world.channel, "cancel")
    assert "I asked the worker to stop" in answer(result)
    assert (await world.job(job.id)).state is JobState.RUNNING
    await world.deliver()
    assert "Stopping…" in words(world.channel.last_message)
    await world.apply(Cancelled, job.id)
    await world.deliver()
    assert "Cancelled." in words(world.channel.last_message)
    assert len(world.channel.history()) == 1


async def test_the_button_works_after_a_restart_for_the_owner_alone(world: World, restart: Restart) -> None:
    job = await begun(world, world.ada)
    await posted(world)
    await restart()
    card = world.channel.history()[-1]
    refused = await world.ben.click(card, label="Cancel")
    assert refused.ephemeral
    assert "only whoever started one can stop it" in answer(refused)
    assert (await world.job(job.id)).state is JobState.ACCEPTED
    done = await world.ada.click(card, label="Cancel")
    assert "Cancelled. It had not begun" in answer(done)
    again = await world.ada.click(card, label="Cancel")
    assert "too late to stop that: it has already been cancelled" in answer(again)


async def test_offers_the_persons_own_jobs(world: World) -> None:
    mine, other = await begun(world, world.ada), await begun(world, world.ben, name="luna")
    offered: list[dict[str, Any]] = await world.ada.autocomplete(world.channel, "cancel", "job", "")
    assert offered == [{"name": "training of rex (accepted)", "value": mine.id}]
    assert await world.ada.autocomplete(world.channel, "cancel", "job", "luna") == []
    result = await world.ada.slash(world.channel, "cancel", job=other.id)
    assert "no such job of yours" in answer(result)
    assert (await world.job(other.id)).state is JobState.ACCEPTED


@pytest.mark.parametrize("typed", ["nonsense", "<@123>", "x" * 4000])
async def test_explains_a_job_that_is_none(world: World, typed: str) -> None:
    result = await world.ada.slash(world.channel, "cancel", job=typed)
    assert "no such job of yours" in answer(result)


async def test_says_when_there_is_nothing_to_cancel(world: World) -> None:
    assert "nothing under way" in answer(await world.ada.slash(world.channel, "cancel"))


async def test_asks_which_of_several(world: World) -> None:
    await begun(world, world.ada)
    await world.ada.slash(world.channel, "imagine", prompt="a tree")
    result = await world.ada.slash(world.channel, "cancel")
    assert "You have 2 requests under way" in answer(result)
    picture = next(job for job in await world.active(world.ada) if job.prompt_shown)
    await world.ada.slash(world.channel, "cancel", job=picture.id)
    assert (await world.job(picture.id)).state is JobState.CANCELLED


async def test_comes_too_late_for_what_has_ended(world: World) -> None:
    await world.ada.slash(world.channel, "imagine", prompt="a tree")
    (job,) = await world.active(world.ada)
    await drawn(world, job)
    result = await world.ada.slash(world.channel, "cancel", job=job.id)
    assert "it has already finished" in answer(result)
