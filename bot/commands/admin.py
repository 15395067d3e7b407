"""`/admin`: for whoever manages the server."""

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.access import check_manages
from bot.views import status_card
from storage.standing import standing

if TYPE_CHECKING:
    from bot.app import Dreambot

admin = app_commands.Group(
    name="admin",
    description="Look after the bot",
    guild_only=True,
    default_permissions=discord.Permissions(manage_guild=True),
)


def register(bot: "Dreambot") -> None:
    bot.tree.add_command(admin)


@admin.command(description="See what waits, what is under way, and how the workers stand")
async def status(interaction: "discord.Interaction[Dreambot]") -> None:
    check_manages(interaction)
    await interaction.response.defer(ephemeral=True, thinking=True)
    services = interaction.client.services
    async with services.database.read() as session:
        jobs = await standing(session)
    workers = await services.queue.workers()
    await interaction.followup.send(view=status_card.render(jobs, workers), ephemeral=True)
