"""`/admin statistics`: what was made in the last days, by how many people, and what it took."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.access import check_manages, operates
from bot.acknowledging import acknowledge
from bot.commands.admin.group import AnyCommand
from bot.views.statistics_card import render
from storage.statistics import last_days

if TYPE_CHECKING:
    from bot.app import Dreambot


@app_commands.command(description="See what was made in the last 14 days, by how many people, and what it took")
@app_commands.describe(here="This server alone; those who run the bot see all servers otherwise")
async def statistics(interaction: "discord.Interaction[Dreambot]", here: bool = False) -> None:
    check_manages(interaction)
    everywhere = operates(interaction) and not here
    await acknowledge(interaction, ephemeral=True, thinking=True)
    services = interaction.client.services
    async with services.database.survey() as session:
        days, together = await last_days(session, services.clock(), None if everywhere else interaction.guild_id)
    price = services.settings.gpu_price_per_hour if everywhere else 0
    card = await asyncio.to_thread(
        render, days, together, everywhere=everywhere, price_per_hour=price, currency=services.settings.currency
    )
    await interaction.edit_original_response(view=card.view, attachments=card.files)


COMMANDS: Sequence[AnyCommand] = (statistics,)
