"""/help, /usage, the hello to a new server, and commands that are sent to Discord only when they changed."""

from typing import Any

import discord
import pytest

from bot.command_list import mention
from bot.cost_text import gpu_time, money
from bot.help_text import COMMANDS
from bot.settings import BotSettings
from bot.standing import Standing, State
from bot.views import help_card, welcome
from bot.views.job_list import Usage
from bot.views.usage_card import Facts, render
from storage.contract import Failed, FailureReason, JobKind
from storage.usage import Used
from tests.bot.conftest import Restart, World, answer, shown, words
from tests.bot.made import begun, drawn, trained
from tests.bot.payloads import check_message


async def ask(world: World, command: str, who: Any = None) -> str:
    result = await (who or world.ada).slash(world.channel, command)
    assert result.ephemeral
    return answer(result)


async def test_help_fits_where_the_person_stands(world: World) -> None:
    result = await world.ada.slash(world.channel, "help")
    assert "Let's teach me something of yours" in answer(result)
    assert [file.filename for file in shown(result).attachments] == ["good-photos.png"]

    job = await begun(world, world.ada)
    assert "I am learning rex" in await ask(world, "help")
    await world.apply(Failed, job.id, reason=FailureReason.DIVERGED)
    assert "Learning rex did not work out" in await ask(world, "help")
    await trained(world, world.ada, "luna", "cat", shared_with=world.guild.id)
    assert "Draw luna anywhere" in await ask(world, "help")
    assert "You can draw luna" in await ask(world, "help", world.ben)


async def test_commands_can_be_clicked_also_after_a_restart(world: World, restart: Restart) -> None:
    told = await ask(world, "help")
    assert f"</train:{world.bot.command_ids['train']}>" in told
    assert sorted(world.bot.command_ids) == sorted(command.name for command in world.bot.tree.get_commands())
    sent = world.env.transcript().count("PUT /applications/")

    await restart()

    assert f"</train:{world.bot.command_ids['train']}>" in await ask(world, "help")
    assert world.env.transcript().count("PUT /applications/") == sent == 1


async def test_changed_commands_are_sent_again(world: World, restart: Restart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.commands.help.help_command._name", "helpme", raising=False)
    monkeypatch.setattr("bot.commands.help.help_command.name", "helpme")
    await restart()
    assert "helpme" in world.bot.command_ids


def test_every_command_that_help_names_is_there(world: World) -> None:
    there = {command.name for command in world.bot.tree.get_commands()}
    assert set(COMMANDS) <= there
    assert there - set(COMMANDS) <= {"help", "admin", "storybook", "dataset"}


@pytest.mark.parametrize("state", State)
def test_any_help(state: State) -> None:
    ids = dict.fromkeys(COMMANDS, 2**63)
    check_message(help_card.render(Standing(state, "W" * 32), ids).view)


def test_a_command_of_unknown_id_is_named(world: World) -> None:
    assert mention("train", {}) == "`/train`"


# Usage.


async def test_usage_counts_and_prices_what_came_of_it(world: World) -> None:
    settings = BotSettings(_env_file=None, gpu_price_per_hour=3.6, currency="EUR")
    object.__setattr__(world.services, "settings", settings)
    assert "nothing yet" in await ask(world, "usage")
    await trained(world, world.ada)  # 90 seconds
    for count in (2, 3):
        await world.ada.slash(world.channel, "imagine", prompt="rex at sea", count=count)
        (job,) = await world.active(world.ada)
        await drawn(world, job)  # 2 seconds
    await world.ben.slash(world.channel, "imagine", prompt="a boat")

    told = await ask(world, "usage")

    assert "- 5 of 200 pictures" in told
    assert "- 1 of 10 trainings" in told
    assert "- 1 training and 5 pictures: 94 GPU seconds (about 0.09 EUR)" in told
    assert "- a training: about 2 min, 125 GPU seconds (about 0.12 EUR)" in told
    assert "- a picture: 1 GPU second (less than 0.01 EUR)" in told


def test_prices_are_told_where_there_is_one() -> None:
    assert money(3600, 0, "USD") == ""
    assert money(3600, 2, "USD") == "about 2.00 USD"
    assert gpu_time(30, 1.2, "USD") == "30 GPU seconds (about 0.01 USD)"
    assert gpu_time(1234) == "1,234 GPU seconds"


@pytest.mark.parametrize("limit", [None, 0, 10**6])
def test_any_usage(limit: int | None) -> None:
    today = {kind: Usage(used=10**6, limit=limit) for kind in JobKind}
    month = Used(trainings=10**6, pictures=1, gpu_seconds={JobKind.TRAIN: 1e9})
    facts = Facts(today=today, month=month, training_seconds=1e6, picture_seconds=None, price_per_hour=1, currency="€")
    check_message(render(facts))


# Hello.


async def test_says_hello_where_it_may_write_and_what_it_misses(world: World, restart: Restart) -> None:
    guild = world.bot.get_guild(world.guild.id)
    assert guild is not None
    await world.bot.on_guild_join(guild)

    (hello,) = world.channel.history()
    assert "### Hello! I learn what something looks like" in words(hello)
    assert f"</train:{world.bot.command_ids['train']}>" in words(hello)
    assert world.pinged(hello) == set()
    await restart()
    await world.ada.click(hello, label="Check again")
    (hello,) = world.channel.history()
    assert "I may do here all that I need." in words(hello)


def test_names_what_is_missing() -> None:
    some = discord.Permissions(view_channel=True, send_messages=True, read_message_history=True)
    view = welcome.render({}, some)
    check_message(view)
    said = str(view.to_components())  # type: ignore[no-untyped-call]
    assert "I miss: Attach Files, Embed Links and Send Messages in Threads." in said
    assert "all that I need" in str(welcome.render({}, discord.Permissions.all()).to_components())  # type: ignore[no-untyped-call]
