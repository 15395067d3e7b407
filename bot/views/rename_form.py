"""The form that gives a model another name."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Self

import discord
from discord import ui

from bot.replies import pressed
from bot.text import cut
from storage.models import rename_model
from storage.names import MAX_CHARS, MIN_CHARS
from storage.schema import Model

if TYPE_CHECKING:
    from bot.app import Dreambot

TITLE_CHARS = 45
OPEN_SECONDS = 3600.0


class RenameForm(ui.Modal):
    def __init__(self, model: Model, renamed: Callable[["discord.Interaction[Dreambot]"], Awaitable[None]]) -> None:
        """`renamed` answers once the model has its new name."""
        super().__init__(title=cut(f"Rename {model.name}", TITLE_CHARS), timeout=OPEN_SECONDS)
        self.model_id, self.renamed = model.id, renamed
        self.name = ui.TextInput[Self](default=model.name, min_length=MIN_CHARS, max_length=MAX_CHARS, custom_id="name")
        self.add_item(ui.Label(text="Name", description="What you call it in prompts.", component=self.name))

    @pressed
    async def on_submit(self, interaction: "discord.Interaction[Dreambot]") -> None:
        async with interaction.client.services.database.write() as session:
            await rename_model(session, self.model_id, interaction.user.id, self.name.value)
        await self.renamed(interaction)
