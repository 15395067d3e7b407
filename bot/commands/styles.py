"""/styles: the looks that a prompt can be put into, with a picture of each; servers add their own."""

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.acknowledging import acknowledge
from bot.look_pages import show_looks
from bot.views.look_gallery import AddButton, PageButton, RemoveMenu, TryMenu

if TYPE_CHECKING:
    from bot.app import Dreambot


def register(bot: "Dreambot") -> None:
    bot.tree.add_command(styles)
    bot.add_dynamic_items(PageButton, TryMenu, AddButton, RemoveMenu)


@app_commands.command(description="See the looks that there are, draw with one, or add one for this server")
async def styles(interaction: "discord.Interaction[Dreambot]") -> None:
    await acknowledge(interaction, ephemeral=True, thinking=True)
    await show_looks(interaction, 0)
