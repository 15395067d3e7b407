"""/help: what to do next, whoever asks."""

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.standing import standing_of
from bot.views.help_card import render
from bot.views.welcome import CheckButton

if TYPE_CHECKING:
    from bot.app import Dreambot


def register(bot: "Dreambot") -> None:
    bot.tree.add_command(help_command)
    bot.add_dynamic_items(CheckButton)


@app_commands.command(name="help", description="What I can do, and what you could do next")
async def help_command(interaction: "discord.Interaction[Dreambot]") -> None:
    async with interaction.client.services.database.read() as session:
        standing = await standing_of(session, interaction.user.id, interaction.guild_id)
    card = render(standing, interaction.client.command_ids)
    await interaction.response.send_message(view=card.view, files=card.files, ephemeral=True)
