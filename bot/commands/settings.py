"""`/settings`: what you allow, and what `/imagine` takes by itself."""

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.views.settings_card import DefaultsButton, DirectMessagesButton, ForgetButton, load

if TYPE_CHECKING:
    from bot.app import Dreambot


def register(bot: "Dreambot") -> None:
    bot.tree.add_command(settings)
    bot.add_dynamic_items(DirectMessagesButton, DefaultsButton, ForgetButton)


@app_commands.command(description="Choose what /imagine takes by itself, and whether I may write to you directly")
async def settings(interaction: "discord.Interaction[Dreambot]") -> None:
    await interaction.response.send_message(view=await load(interaction), ephemeral=True)
