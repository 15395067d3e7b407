"""`/admin reports`: what people reported and nobody has decided about."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.access import check_operates
from bot.acknowledging import acknowledge
from bot.commands.admin.group import AnyCommand
from bot.report_desk import show_reports

if TYPE_CHECKING:
    from bot.app import Dreambot


@app_commands.command(description="Decide about the pictures that people reported")
async def reports(interaction: "discord.Interaction[Dreambot]") -> None:
    check_operates(interaction)
    await acknowledge(interaction, ephemeral=True, thinking=True)
    await show_reports(interaction)


COMMANDS: Sequence[AnyCommand] = (reports,)
