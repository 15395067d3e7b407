"""The group that every `/admin` command is in."""

from typing import Any, TypeAlias

import discord
from discord import app_commands

AnyCommand: TypeAlias = app_commands.Command[Any, Any, Any]

admin = app_commands.Group(
    name="admin",
    description="Look after the bot",
    allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
    allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
    default_permissions=discord.Permissions(manage_guild=True),
)
