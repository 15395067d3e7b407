"""Whether the bot does at all what somebody asks: a blocked person may still see and delete what is theirs."""

import re
from typing import TYPE_CHECKING, Any

import discord

from bot.explanations import explain
from bot.language import speak
from bot.replies import reply
from storage.blocks import check_not_blocked
from storage.errors import Blocked

if TYPE_CHECKING:
    from bot.app import Dreambot

OPEN_COMMANDS = frozenset({"help", "models", "jobs", "cancel", "settings", "privacy"})
HEX = "[0-9a-f]{32}"
OPEN_ITEMS = re.compile(
    rf"models:.*|model:{HEX}:(open|unshare|withdraw|delete|bin|erase):.*|offer:.*:(decline|keep)|jobs:.*|job:{HEX}:cancel"
    rf"|picture:{HEX}:delete|settings:(forget|direct:off)|draft:{HEX}:decline|privacy:.*"
)
"""By their custom ids: what shows, stops, ends sharing or deletes."""


async def begins(interaction: "discord.Interaction[Dreambot]") -> bool:
    """Turn to the person who acts, in their language; False says that they have their answer already."""
    speak(interaction.locale)
    return await interaction.client.under_way.admit(interaction) and await lets_in(interaction)


async def lets_in(interaction: "discord.Interaction[Dreambot]") -> bool:
    """Answer those who are blocked, unless what they want is open to them all the same."""
    if interaction.type is discord.InteractionType.autocomplete or _is_open(interaction):
        return True
    async with interaction.client.services.database.read() as session:
        try:
            await check_not_blocked(session, interaction.user.id, interaction.guild_id)
        except Blocked as error:
            words = explain(error)
        else:
            return True
    await reply(interaction, words)
    return False


def _is_open(interaction: discord.Interaction[Any]) -> bool:
    data: Any = interaction.data
    if "custom_id" in data:
        return OPEN_ITEMS.fullmatch(data["custom_id"]) is not None
    return data.get("name") in OPEN_COMMANDS
