"""Whether the bot is only a guest where it was asked: there by a person's own installation, and no member.

As a guest it can answer the command, and edit that answer for as long as Discord lets it, but neither write nor edit
by itself (https://docs.discord.com/developers/resources/application#installation-context). So its answers are for the
asker's eyes alone, and what takes longer is refused.
"""

from typing import Any

import discord

from storage.errors import UserError


class OnlyAGuest(UserError):
    """What was asked for takes longer than a guest can answer."""


def is_guest(interaction: discord.Interaction[Any]) -> bool:
    if interaction.context.dm_channel:  # with the bot itself
        return False
    return interaction.is_user_integration() and not interaction.is_guild_integration()


def check_at_home(interaction: discord.Interaction[Any]) -> None:
    """Raises `OnlyAGuest`."""
    if is_guest(interaction):
        raise OnlyAGuest
