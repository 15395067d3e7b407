"""`/admin pause`, `drain` and `resume`: take in nothing new, begin nothing that waits, and go on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.app_commands import Range

from bot.access import check_operates
from bot.admin_text import DRAINED, MAX_WORDS, NOT_PAUSED, PAUSED, RESUMED
from bot.commands.admin.group import AnyCommand
from bot.replies import reply
from storage import admission

if TYPE_CHECKING:
    from bot.app import Dreambot

    Interaction = discord.Interaction[Dreambot]


@app_commands.command(description="Take in nothing new; what was asked for before goes on")
@app_commands.describe(words="What people are told when they ask, such as: back at six")
async def pause(interaction: "Interaction", words: Range[str, 1, MAX_WORDS] = "") -> None:
    await _pause(interaction, words, drains=False)


@app_commands.command(description="Take in nothing new, and begin nothing that waits: then a worker can be replaced")
@app_commands.describe(words="What people are told when they ask, such as: a new graphics card comes in")
async def drain(interaction: "Interaction", words: Range[str, 1, MAX_WORDS] = "") -> None:
    await _pause(interaction, words, drains=True)


@app_commands.command(description="Take in requests again, and begin what waits")
async def resume(interaction: "Interaction") -> None:
    check_operates(interaction)
    services = interaction.client.services
    async with services.database.write() as session:
        was_paused = await admission.resume(session)
    services.queue.wake()
    await reply(interaction, str(RESUMED if was_paused else NOT_PAUSED))


async def _pause(interaction: "Interaction", words: str, *, drains: bool) -> None:
    check_operates(interaction)
    services = interaction.client.services
    async with services.database.write() as session:
        await admission.pause(session, interaction.user.id, words, services.clock(), drains=drains)
    services.queue.wake()
    await reply(interaction, str(DRAINED if drains else PAUSED))


COMMANDS: Sequence[AnyCommand] = (pause, drain, resume)
