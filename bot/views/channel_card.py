"""Where in a server the bot may be used, with a menu to change it."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.access import check_manages
from bot.admin_text import CHANNELS_CHOSEN, CHANNELS_EXPLAINED, CHANNELS_OPEN
from bot.language import _, listed
from bot.replies import pressed
from storage.channels import MOST_CHANNELS, open_channels, set_open_channels

if TYPE_CHECKING:
    from bot.app import Dreambot

KINDS = [
    discord.ChannelType.text,
    discord.ChannelType.news,
    discord.ChannelType.forum,
    discord.ChannelType.voice,
    discord.ChannelType.category,
]


async def load(interaction: "discord.Interaction[Dreambot]") -> ui.LayoutView:
    assert interaction.guild_id is not None  # noqa: S101 -- the group is for servers alone
    async with interaction.client.services.database.read() as session:
        return render(await open_channels(session, interaction.guild_id))


def render(channels: Sequence[int]) -> ui.LayoutView:
    named = str(CHANNELS_OPEN)
    if channels:
        named = CHANNELS_CHOSEN.format(channels=listed([f"<#{channel}>" for channel in channels]))
    title = _("### Where I may be used")
    card = ui.Container[Any](ui.TextDisplay(f"{title}\n{named}"), accent_colour=discord.Colour.blurple())
    card.add_item(ui.ActionRow(ChannelMenu(channels)))
    card.add_item(ui.TextDisplay(str(CHANNELS_EXPLAINED)))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return view


class ChannelMenu(ui.DynamicItem[ui.ChannelSelect[Any]], template=r"admin:channels"):
    """Choose the channels; those that are named already are chosen to begin with."""

    def __init__(self, channels: Sequence[int] = ()) -> None:
        super().__init__(
            ui.ChannelSelect(
                placeholder=_("Every channel"),
                channel_types=KINDS,
                min_values=0,
                max_values=MOST_CHANNELS,
                default_values=[
                    discord.SelectDefaultValue(id=channel, type=discord.SelectDefaultValueType.channel)
                    for channel in channels[:MOST_CHANNELS]
                ],
                custom_id="admin:channels",
            )
        )

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], _match: re.Match[str], /
    ) -> Self:
        return cls()

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        check_manages(interaction)
        assert interaction.guild_id is not None  # noqa: S101 -- the card stands in a server
        async with interaction.client.services.database.write() as session:
            await set_open_channels(session, interaction.guild_id, [channel.id for channel in self.item.values])
        await interaction.response.edit_message(view=await load(interaction))
