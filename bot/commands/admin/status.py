"""`/admin status`: what waits, what is under way, whether anything is held back, and how the workers stand."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.access import check_manages
from bot.acknowledging import acknowledge
from bot.commands.admin.group import AnyCommand
from bot.views import status_card
from storage.admission import present_pause
from storage.standing import standing

if TYPE_CHECKING:
    from bot.app import Dreambot


@app_commands.command(description="See what waits, what is under way, and how the workers stand")
async def status(interaction: "discord.Interaction[Dreambot]") -> None:
    check_manages(interaction)
    await acknowledge(interaction, ephemeral=True, thinking=True)
    services = interaction.client.services
    async with services.database.read() as session:
        jobs, pause = await standing(session), await present_pause(session)
    workers = await services.queue.workers()
    await interaction.followup.send(view=status_card.render(jobs, workers, pause), ephemeral=True)


COMMANDS: Sequence[AnyCommand] = (status,)
