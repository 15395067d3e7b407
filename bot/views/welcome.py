"""The message to a server that has just added the bot: what it does, and whether it may do here what it needs to."""

import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.command_list import mention
from bot.help_text import PERMISSIONS, PERMISSIONS_FINE, PERMISSIONS_MISSING, WELCOME
from bot.language import _, listed, locale_of_card, spoken
from bot.replies import pressed

if TYPE_CHECKING:
    from bot.app import Dreambot

log = logging.getLogger(__name__)


async def welcome(guild: discord.Guild, ids: Mapping[str, int]) -> None:
    """Post it where the server's owner will see it and we may write; nobody is written to directly."""
    channel = _channel(guild)
    if channel is None:
        log.info("server %d: there is no channel to say hello in", guild.id)
        return
    with spoken(guild.preferred_locale):
        hello = render(ids, channel.permissions_for(guild.me))
    try:
        await channel.send(view=hello, allowed_mentions=discord.AllowedMentions.none())
    except discord.HTTPException as error:
        log.warning("server %d: could not say hello, HTTP %s", guild.id, error.status)


def render(ids: Mapping[str, int], permissions: discord.Permissions) -> ui.LayoutView:
    """`permissions` are ours in the channel where it stands."""
    missing = [str(label) for name, label in PERMISSIONS.items() if not getattr(permissions, name)]
    commands = {name: mention(name, ids) for name in ("train", "imagine", "help")}
    card = ui.Container[Any](ui.TextDisplay(WELCOME.format(**commands)), accent_colour=discord.Colour.blurple())
    card.add_item(ui.Separator())
    said = PERMISSIONS_MISSING.format(permissions=listed(missing)) if missing else str(PERMISSIONS_FINE)
    card.add_item(ui.TextDisplay(said))
    card.add_item(ui.ActionRow(CheckButton()))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return view


def _channel(guild: discord.Guild) -> discord.TextChannel | None:
    """Return the channel for news of the server if we may write there, or else the first where we may."""
    channels = [guild.system_channel, *guild.text_channels]
    for channel in channels:
        if channel is not None:
            allowed = channel.permissions_for(guild.me)
            if allowed.view_channel and allowed.send_messages:
                return channel
    return None


class CheckButton(ui.DynamicItem[ui.Button[Any]], template=r"welcome:check"):
    """Look at the permissions anew, in the channel where it is pressed."""

    def __init__(self) -> None:
        super().__init__(ui.Button(label=_("Check again"), emoji="🔄", custom_id="welcome:check"))

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], _match: re.Match[str], /
    ) -> Self:
        return cls()

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        ids = interaction.client.command_ids
        with spoken(locale_of_card(interaction)):
            hello = render(ids, interaction.app_permissions)
        await interaction.response.edit_message(view=hello)
