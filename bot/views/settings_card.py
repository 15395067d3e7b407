"""What a person may set for themselves, and the button that sets it."""

import re
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.replies import pressed
from storage.people import set_direct_messages

if TYPE_CHECKING:
    from bot.app import Dreambot

WHEN = "When the channel where you asked is gone or closed to me, or a job outlasts its private reply,"
SAYS = {
    True: f"**Direct messages: on.** {WHEN} I send you what I made directly. For nothing else.",
    False: f"**Direct messages: off.** {WHEN} what I made waits for you in `/jobs`.",
}
LABELS = {True: "Allow direct messages", False: "No direct messages"}


def render(*, direct_messages: bool) -> ui.LayoutView:
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.blurple())
    card.add_item(ui.TextDisplay(f"### Your settings\n{SAYS[direct_messages]}"))
    card.add_item(ui.ActionRow(DirectMessagesButton(wanted=not direct_messages)))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return view


class DirectMessagesButton(ui.DynamicItem[ui.Button[Any]], template=r"settings:direct:(?P<wanted>on|off)"):
    """Set it for the presser."""

    def __init__(self, *, wanted: bool) -> None:
        super().__init__(ui.Button(label=LABELS[wanted], custom_id=f"settings:direct:{'on' if wanted else 'off'}"))
        self.wanted = wanted

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(wanted=match["wanted"] == "on")

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        services = interaction.client.services
        async with services.database.write() as session:
            await set_direct_messages(session, interaction.user.id, self.wanted, services.clock())
        await interaction.response.edit_message(view=render(direct_messages=self.wanted))
