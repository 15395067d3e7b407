"""/privacy: what is kept of a person, a copy of it for them, and its deletion."""

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.views.privacy_card import PrivacyButton, load

if TYPE_CHECKING:
    from bot.app import Dreambot


def register(bot: "Dreambot") -> None:
    bot.tree.add_command(privacy)
    bot.add_dynamic_items(PrivacyButton)


@app_commands.command(description="See what I keep of you, take a copy of it, or delete everything")
async def privacy(interaction: "discord.Interaction[Dreambot]") -> None:
    await interaction.response.send_message(view=await load(interaction), ephemeral=True)
