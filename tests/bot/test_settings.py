"""/settings, and the direct messages that it allows: only then, and only where no other way is left."""

import discord

from storage.contract import JobKind
from storage.people import wants_direct_messages
from storage.quotas import used
from storage.schema import Job
from tests.bot.conftest import Restart, World, answer, shown, words
from tests.bot.made import begun, drawn, trained

EXPIRED = 10015  # what Discord calls an interaction's token after 15 minutes: an unknown webhook


async def allow(world: World) -> None:
    result = await world.ada.slash(world.channel, "settings")
    await world.ada.click(shown(result), label="Allow direct messages")


async def lost_picture(world: World, **options: bool) -> Job:
    """A picture of Ada's whose channel is gone before it is drawn."""
    await world.ada.slash(world.channel, "imagine", prompt="a boat", **options)
    (job,) = await world.active(world.ada)
    await world.deliver()
    world.env.backend.delete_channel(world.channel.id)
    world.channel = world.guild.create_text_channel("elsewhere")
    await drawn(world, job)
    return job


def direct(world: World) -> list[discord.Message]:
    return world.ada.user.dm_channel.history()


async def test_is_off_until_it_is_switched_on_and_can_be_taken_back(world: World, restart: Restart) -> None:
    result = await world.ada.slash(world.channel, "settings")
    assert result.ephemeral
    assert "Direct messages: off." in answer(result)
    await restart()
    card = shown(result)
    await world.ada.click(card, label="Allow direct messages")
    assert "Direct messages: on." in words(card.message)
    assert "Direct messages: on." in answer(await world.ada.slash(world.channel, "settings"))
    assert "Direct messages: off." in answer(await world.ben.slash(world.channel, "settings"))
    await world.ada.click(card, label="No direct messages")
    async with world.services.database.read() as session:
        assert not await wants_direct_messages(session, world.ada.id)


async def test_what_has_lost_its_channel_comes_directly(world: World) -> None:
    await allow(world)
    await lost_picture(world)

    for _ in range(2):  # once to find the channel gone, and once more
        await world.deliver(after=20)

    (message,) = direct(world)
    assert "`a boat`" in words(message)
    assert len(message.attachments) == 1
    page = shown(await world.ada.slash(world.channel, "jobs"))
    there = f"https://discord.com/channels/@me/{message.channel.id}/{message.id}"
    assert f"[in your direct messages]({there})" in words(page.message)
    await world.deliver(after=20)
    assert len(direct(world)) == 1


async def test_nobody_is_written_to_who_has_not_allowed_it(world: World) -> None:
    await lost_picture(world)
    await world.deliver(after=20)
    assert direct(world) == []
    assert "I could not post it" in answer(await world.ada.slash(world.channel, "jobs"))


async def test_a_private_picture_that_took_too_long_comes_directly(world: World) -> None:
    await allow(world)
    await world.ada.slash(world.channel, "imagine", prompt="a boat", private=True)
    (job,) = await world.active(world.ada)
    await world.deliver()
    world.clock.advance(16 * 60)
    await drawn(world, job)
    world.env.inject_error("PATCH", "/webhooks/*/messages/*", status=404, code=EXPIRED, times=1)

    await world.deliver(after=1)
    await world.deliver(after=1)

    (message,) = direct(world)
    assert len(message.attachments) == 1
    assert world.seen_by(world.ben) == []
    async with world.services.database.read() as session:
        assert await used(session, world.ada.id, JobKind.IMAGINE, world.clock()) == 1


async def test_a_private_picture_that_took_too_long_waits_in_the_list_and_costs_nothing(world: World) -> None:
    await world.ada.slash(world.channel, "imagine", prompt="a boat", private=True)
    (job,) = await world.active(world.ada)
    await world.deliver()
    await drawn(world, job)
    world.env.inject_error("PATCH", "/webhooks/*/messages/*", status=404, code=EXPIRED, times=1)
    await world.deliver(after=16 * 60)

    page = shown(await world.ada.slash(world.channel, "jobs"))

    assert "It took longer than a private reply lives." in words(page.message)
    assert "does not count towards your limit" in words(page.message)
    await world.ada.click(page, label="Show")
    assert len(page.message.attachments) == 1


async def test_of_a_training_the_result_alone_comes_directly(world: World) -> None:
    await allow(world)
    await begun(world, world.ada, "luna", "cat")
    await world.deliver(after=20)
    await world.ada.slash(world.channel, "cancel")
    world.env.backend.delete_channel(world.channel.id)
    await trained(world, world.ada)
    await world.deliver(after=20)
    await world.deliver(after=20)

    (message,) = direct(world)
    assert "**rex** is ready" in words(message)
    assert world.pinged(message) == {world.ada.id}
    told = await world.ada.user.click(message, label="Share with this server")
    assert "with `/models` in the server" in answer(told)
