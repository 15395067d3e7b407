"""`/admin channels`: where in this server the bot may be asked to make something."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.access import check_manages
from bot.commands.admin.group import AnyCommand
from bot.views.channel_card import load

if TYPE_CHECKING:
    from bot.app import Dreambot


@app_commands.command(description="Choose the channels of this server where I may be used")
async def channels(interaction: "discord.Interaction[Dreambot]") -> None:
    check_manages(interaction)
    await interaction.response.send_message(view=await load(interaction), ephemeral=True)


COMMANDS: Sequence[AnyCommand] = (channels,)
