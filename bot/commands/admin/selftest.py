"""`/admin test`: whether everything that the bot stands on works, a picture included."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.access import check_operates
from bot.acknowledging import acknowledge
from bot.commands.admin.group import AnyCommand
from bot.selftest import Check, Here, checks
from bot.views.checklist import render

if TYPE_CHECKING:
    from bot.app import Dreambot


@app_commands.command(name="test", description="Try everything that I stand on, with a picture that a worker draws")
async def selftest(interaction: "discord.Interaction[Dreambot]") -> None:
    check_operates(interaction)
    assert interaction.channel_id is not None  # noqa: S101 -- commands are given in channels
    await acknowledge(interaction, ephemeral=True, thinking=True)
    here = Here(
        interaction_id=interaction.id,
        person_id=interaction.user.id,
        guild_id=interaction.guild_id,
        channel_id=interaction.channel_id,
        permissions=interaction.app_permissions,
    )
    found: list[Check] = []
    async for check in checks(interaction.client.services, here):
        found.append(check)
        await interaction.edit_original_response(view=render(found))


COMMANDS: Sequence[AnyCommand] = (selftest,)
