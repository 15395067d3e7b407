"""The group that every `/admin` command is in."""

from typing import Any, TypeAlias

import discord
from discord import app_commands

AnyCommand: TypeAlias = app_commands.Command[Any, Any, Any]

admin = app_commands.Group(
    name="admin",
    description="Look after the bot",
    guild_only=True,
    default_permissions=discord.Permissions(manage_guild=True),
)
