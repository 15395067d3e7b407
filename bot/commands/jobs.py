"""`/jobs`: what you have asked for lately, what came of it, and where it stands."""

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.acknowledging import acknowledge
from bot.job_pages import show_jobs
from bot.views.job_list import PageButton, ShowButton

if TYPE_CHECKING:
    from bot.app import Dreambot


def register(bot: "Dreambot") -> None:
    bot.tree.add_command(jobs)
    bot.add_dynamic_items(PageButton, ShowButton)


@app_commands.command(description="Look at what you asked for in the last days, and what came of it")
async def jobs(interaction: "discord.Interaction[Dreambot]") -> None:
    await acknowledge(interaction, ephemeral=True, thinking=True)
    await show_jobs(interaction)
