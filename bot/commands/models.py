"""/models: leaf through one's own models or those shared with the server."""

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.app_commands import Choice

from bot.model_pages import show_gallery
from bot.views.download import DownloadButton
from bot.views.model_buttons import ModelButton, OpenMenu, PageButton, Place, Scope
from bot.views.variant_button import VariantButton

if TYPE_CHECKING:
    from bot.app import Dreambot


def register(bot: "Dreambot") -> None:
    bot.tree.add_command(models)
    bot.add_dynamic_items(PageButton, OpenMenu, ModelButton, DownloadButton, VariantButton)


@app_commands.command(description="Look at your models, or at those shared with this server")
@app_commands.describe(whose="Your own, for your eyes only; or the server's, for everybody here")
@app_commands.choices(
    whose=[
        Choice(name="Mine", value=Scope.MINE.value),
        Choice(name="Shared with this server", value=Scope.SERVER.value),
    ]
)
async def models(interaction: "discord.Interaction[Dreambot]", whose: str = Scope.MINE.value) -> None:
    scope = Scope(whose)
    await interaction.response.defer(ephemeral=scope is Scope.MINE, thinking=True)
    await show_gallery(interaction, Place(interaction.user.id, scope))
