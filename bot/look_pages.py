"""What the pages of looks do: load what they show, and carry out what their menus say."""

from typing import TYPE_CHECKING, Any

import discord

from bot.acknowledging import acknowledge
from bot.looks import MayNotKeepLooks, looks_for
from bot.views import look_gallery
from storage.looks import remove_look

if TYPE_CHECKING:
    from bot.app import Dreambot

    Interaction = discord.Interaction[Dreambot]


def may_keep_looks(interaction: discord.Interaction[Any]) -> bool:
    """Tell whether the person may add and remove looks here: whoever may do so with the server's emoji."""
    allowed = interaction.permissions
    return interaction.guild_id is not None and (allowed.manage_expressions or allowed.manage_guild)


async def show_looks(interaction: "Interaction", page: int) -> None:
    """Fill the reply, which must be deferred, with a page of looks; the last one when there are not so many."""
    services = interaction.client.services
    async with services.database.read() as session:
        looks = await looks_for(session, services.base, interaction.guild_id)
    shown = look_gallery.render(looks, page, may_keep=may_keep_looks(interaction))
    await interaction.edit_original_response(view=shown.view, attachments=shown.files)


async def remove(interaction: "Interaction", look_id: str, page: int) -> None:
    """Raises `MayNotKeepLooks`, `LookNotFound`."""
    if not may_keep_looks(interaction):
        raise MayNotKeepLooks
    async with interaction.client.services.database.write() as session:
        await remove_look(session, look_id, interaction.guild_id)
    await acknowledge(interaction)
    await show_looks(interaction, page)
