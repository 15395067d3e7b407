"""`/admin quotas`: what members of this server may ask for in 24 hours, everybody or those with a role."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.app_commands import Range

from bot.access import check_manages, operates
from bot.commands.admin.group import AnyCommand
from bot.limits import usual
from bot.views.quota_card import render
from storage.contract import JobKind
from storage.errors import AboveTheUsual
from storage.limits import EVERYBODY, drop_limits, limits_of, set_limit

if TYPE_CHECKING:
    from bot.app import Dreambot

    Interaction = discord.Interaction[Dreambot]

MOST_PICTURES, MOST_TRAININGS = 100_000, 1_000


@app_commands.command(description="See or set what members of this server may ask for in a day")
@app_commands.describe(
    role="Whose limits; leave it out for everybody. Of several roles the most generous counts",
    pictures="How many pictures in 24 hours; 0 lets them draw none",
    trainings="How many trainings in 24 hours; 0 lets them train none",
    back="Take these limits away, so that the usual ones count",
)
@app_commands.rename(back="usual")
async def quotas(
    interaction: "Interaction",
    role: discord.Role | None = None,
    pictures: Range[int, 0, MOST_PICTURES] | None = None,
    trainings: Range[int, 0, MOST_TRAININGS] | None = None,
    back: bool = False,
) -> None:
    check_manages(interaction)
    services, guild_id = interaction.client.services, interaction.guild_id
    assert guild_id is not None  # noqa: S101 -- the group is for servers alone
    role_id = EVERYBODY if role is None or role.is_default() else role.id
    wanted = {JobKind.IMAGINE: pictures, JobKind.TRAIN: trainings}
    async with services.database.write() as session:
        if back:
            await drop_limits(session, guild_id, role_id)
        for kind, per_day in wanted.items():
            if per_day is not None:
                _check_not_above(interaction, kind, per_day)
                await set_limit(session, guild_id, role_id, kind, per_day)
        limits = await limits_of(session, guild_id)
    usually = {kind: usual(services.settings, kind) for kind in wanted}
    await interaction.response.send_message(view=render(limits, usually), ephemeral=True)


def _check_not_above(interaction: "Interaction", kind: JobKind, per_day: int) -> None:
    """A server may give its members less than the usual; more is the word of those who pay for it."""
    most = usual(interaction.client.services.settings, kind)
    if most is not None and per_day > most and not operates(interaction):
        raise AboveTheUsual(kind, most)


COMMANDS: Sequence[AnyCommand] = (quotas,)
