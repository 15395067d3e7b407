"""`/admin block` and `unblock`: a person who may make nothing, in this server or anywhere."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.app_commands import Choice, Range

from bot.access import check_manages, check_operates, operates
from bot.acknowledging import acknowledge
from bot.admin_text import BLOCKED, MAX_WORDS, NOT_BLOCKABLE, UNBLOCKED, WAS_NOT_BLOCKED
from bot.blocking import block_and_stop
from bot.commands.admin.group import AnyCommand
from bot.replies import reply
from storage.blocks import EVERYWHERE, unblock_person

if TYPE_CHECKING:
    from bot.app import Dreambot

    Interaction = discord.Interaction[Dreambot]

HERE, ANYWHERE = "here", "anywhere"
PLACES = [Choice(name="In this server", value=HERE), Choice(name="Everywhere", value=ANYWHERE)]


@app_commands.command(description="Let a person make nothing from now on, and stop what they have under way")
@app_commands.describe(
    user="Whom", words="Why; they are told so when they ask", where="Everywhere is for those who run the bot"
)
@app_commands.choices(where=PLACES)
async def block(
    interaction: "Interaction", user: discord.User, words: Range[str, 1, MAX_WORDS] = "", where: str = HERE
) -> None:
    guild_id = _place(interaction, where)
    if user.bot or user.id in {interaction.user.id, *interaction.client.services.settings.operator_ids}:
        await reply(interaction, str(NOT_BLOCKABLE))
        return
    await acknowledge(interaction, ephemeral=True, thinking=True)
    stopped = await block_and_stop(interaction.client.services, user.id, guild_id, interaction.user.id, words)
    await reply(interaction, BLOCKED[guild_id == EVERYWHERE].format(person=user.id, stopped=stopped))


@app_commands.command(description="Let a person use the bot again")
@app_commands.describe(user="Whom", where="Where they are blocked")
@app_commands.choices(where=PLACES)
async def unblock(interaction: "Interaction", user: discord.User, where: str = HERE) -> None:
    guild_id = _place(interaction, where)
    async with interaction.client.services.database.write() as session:
        was_blocked = await unblock_person(session, user.id, guild_id)
    words = UNBLOCKED if was_blocked else WAS_NOT_BLOCKED
    await reply(interaction, words[guild_id == EVERYWHERE].format(person=user.id))


def _place(interaction: "Interaction", where: str) -> int:
    """Return where the presser may decide this. Raises `NotAnOperator`, `NotAManager`."""
    if where == ANYWHERE:
        check_operates(interaction)
        return EVERYWHERE
    if not operates(interaction):
        check_manages(interaction)
    assert interaction.guild_id is not None  # noqa: S101 -- the group is for servers alone
    return interaction.guild_id


COMMANDS: Sequence[AnyCommand] = (block, unblock)
