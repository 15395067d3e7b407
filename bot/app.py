"""The Discord client: which commands it has, and what happens when one fails."""

import logging
from collections.abc import Mapping
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.command_list import sync_commands
from bot.command_translations import translate_commands
from bot.commands import register_all
from bot.forms import take_in
from bot.gate import begins
from bot.replies import answer_error
from bot.services import Services
from bot.under_way import UnderWay
from bot.views.welcome import welcome

log = logging.getLogger(__name__)


class Tree(app_commands.CommandTree["Dreambot"]):
    async def interaction_check(self, interaction: discord.Interaction["Dreambot"], /) -> bool:
        return await begins(interaction)


class Dreambot(commands.AutoShardedBot):
    """A bot without privileged intents: photos reach it through its own commands and forms alone."""

    def __init__(self, services: Services) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            tree_cls=Tree,
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=True),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
            max_ratelimit_timeout=60,
        )
        self.services = services
        self.command_ids: Mapping[str, int] = {}
        self.under_way = UnderWay(services.database, services.clock)

    async def setup_hook(self) -> None:
        self.tree.error(self.on_command_error_of_tree)
        register_all(self)
        await translate_commands(self.tree)
        self.command_ids = await sync_commands(self)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        await welcome(guild, self.command_ids)

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        if interaction.type is discord.InteractionType.modal_submit:
            await take_in(interaction)

    async def on_command_error_of_tree(
        self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError
    ) -> None:
        original = error.original if isinstance(error, app_commands.CommandInvokeError) else error
        await answer_error(interaction, original)
