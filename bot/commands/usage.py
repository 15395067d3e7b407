"""/usage: what a person has used, what is left of today, and what things cost."""

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.estimates import usual_picture_seconds, usual_training_seconds
from bot.limits import all_per_day
from bot.views.job_list import Usage
from bot.views.usage_card import Facts, render
from storage.quotas import used
from storage.usage import MONTH, used_since

if TYPE_CHECKING:
    from bot.app import Dreambot


def register(bot: "Dreambot") -> None:
    bot.tree.add_command(usage)


@app_commands.command(description="What you have used, what is left today, and what things cost")
async def usage(interaction: "discord.Interaction[Dreambot]") -> None:
    services, person = interaction.client.services, interaction.user.id
    settings, now = services.settings, services.clock()
    async with services.database.read() as session:
        limits = await all_per_day(session, settings, interaction)
        facts = Facts(
            today={
                kind: Usage(used=await used(session, person, kind, now), limit=limit) for kind, limit in limits.items()
            },
            month=await used_since(session, person, now - MONTH),
            training_seconds=await usual_training_seconds(session, services.base),
            picture_seconds=await usual_picture_seconds(session, services.base),
            price_per_hour=settings.gpu_price_per_hour,
            currency=settings.currency,
        )
    await interaction.response.send_message(view=render(facts), ephemeral=True)
