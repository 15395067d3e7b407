"""`/admin channels`: where a server lets the bot make something."""

import discord
from simcord.actors import MemberActor
from simcord.builders import ChannelHandle

from bot.views.channel_card import render
from storage.channels import MOST_CHANNELS
from tests.bot.conftest import Restart, World, answer, shown, words
from tests.bot.made import drawn, trained
from tests.bot.payloads import check_message


async def test_elsewhere_a_person_is_told_where(world: World, manager: MemberActor, restart: Restart) -> None:
    await trained(world, world.ada)
    card = shown(await world.ada.slash(world.channel, "imagine", prompt="a boat"))
    (job,) = await world.active(world.ada)
    await drawn(world, job)
    await world.deliver(after=5)
    art = world.guild.create_text_channel("art")
    page = shown(await manager.slash(world.channel, "admin channels"))
    assert "In every channel that I can see." in words(page.message)
    await restart()
    await manager.select(page, [art], custom_id="admin:channels")
    assert f"In <#{art.id}> alone" in words(page.message)

    where = f"This server keeps me to <#{art.id}>. Ask me again there."
    asked = [
        await world.ada.slash(world.channel, "imagine", prompt="a boat"),
        await world.ada.slash(world.channel, "train", name="luna", **{"class": "dog"}),
        await world.ada.slash(world.channel, "storybook", model="rex"),
        await world.ada.click(card, label="Again"),
    ]
    for result in asked:
        assert result.ephemeral
        assert answer(result) == where
    assert await world.active(world.ada) == []
    assert "rex" in answer(await world.ada.slash(world.channel, "models"))
    assert "in line" in answer(await world.ada.slash(art, "imagine", prompt="a boat"))

    await manager.select(page, [], custom_id="admin:channels")
    assert "In every channel that I can see." in words(page.message)
    assert "in line" in answer(await world.ada.slash(world.channel, "imagine", prompt="a boat"))


async def test_a_thread_is_where_its_channel_is(world: World, manager: MemberActor) -> None:
    other = world.guild.create_text_channel("other")
    page = shown(await manager.slash(world.channel, "admin channels"))
    await manager.select(page, [world.channel], custom_id="admin:channels")
    inside, outside = await thread_in(world, world.channel), await thread_in(world, other)
    assert "in line" in answer(await world.ada.slash(inside, "imagine", prompt="a boat"))
    assert "keeps me to" in answer(await world.ada.slash(outside, "imagine", prompt="a boat"))


async def thread_in(world: World, channel: ChannelHandle) -> ChannelHandle:
    there = world.bot.get_channel(channel.id)
    assert isinstance(there, discord.TextChannel)
    await there.create_thread(name="talk", type=discord.ChannelType.public_thread)
    await world.env.settle()
    (thread,) = channel.threads
    return thread


async def test_every_choice_asks_who_chooses(world: World, manager: MemberActor) -> None:
    page = shown(await manager.slash(world.channel, "admin channels"))
    await world.bot.http.remove_role(world.guild.id, manager.id, world.guild.roles["Managers"].id)
    told = answer(await manager.select(page, [world.channel], custom_id="admin:channels"))
    assert told == "That is for those who may manage this server."
    assert "in line" in answer(await world.ada.slash(world.channel, "imagine", prompt="a boat"))


def test_discord_takes_the_card() -> None:
    check_message(render([]))
    check_message(render(range(2**64 - MOST_CHANNELS, 2**64)))
