"""`/settings`: what you allow."""

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.views.settings_card import DirectMessagesButton, render
from storage.people import wants_direct_messages

if TYPE_CHECKING:
    from bot.app import Dreambot


def register(bot: "Dreambot") -> None:
    bot.tree.add_command(settings)
    bot.add_dynamic_items(DirectMessagesButton)


@app_commands.command(description="Choose whether I may write to you directly")
async def settings(interaction: "discord.Interaction[Dreambot]") -> None:
    async with interaction.client.services.database.read() as session:
        allowed = await wants_direct_messages(session, interaction.user.id)
    await interaction.response.send_message(view=render(direct_messages=allowed), ephemeral=True)
