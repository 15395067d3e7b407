"""The form that gives a model another name."""

import re
from typing import TYPE_CHECKING, Self

import discord
from discord import ui

from bot.access import own_model
from bot.forms import Form
from bot.language import _
from bot.markup import cut
from bot.replies import pressed
from bot.views.model_buttons import PLACE, Place
from storage.model_names import rename_model
from storage.names import MAX_CHARS, MIN_CHARS
from storage.schema import Model

if TYPE_CHECKING:
    from bot.app import Dreambot

TITLE_CHARS = 45


class RenameForm(Form, template=rf"rename:(?P<model>[0-9a-f]{{32}}):{PLACE}"):
    def __init__(self, model: Model, place: Place) -> None:
        """`place` is where in the gallery the model is shown under its new name."""
        super().__init__(
            title=cut(_("Rename {name}").format(name=model.name), TITLE_CHARS), custom_id=f"rename:{model.id}:{place}"
        )
        self.model_id, self.place = model.id, place
        self.name = ui.TextInput[Self](default=model.name, min_length=MIN_CHARS, max_length=MAX_CHARS, custom_id="name")
        self.add_item(ui.Label(text=_("Name"), description=_("What you call it in prompts."), component=self.name))

    @classmethod
    async def reopen(cls, interaction: "discord.Interaction[Dreambot]", match: re.Match[str]) -> Self:
        async with interaction.client.services.database.write() as session:
            return cls(await own_model(session, match["model"], interaction.user.id), Place.read(match))

    @pressed
    async def on_submit(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.model_pages import open_model  # here, because its pages open this form

        async with interaction.client.services.database.write() as session:
            await rename_model(session, self.model_id, interaction.user.id, self.name.value)
        await open_model(interaction, self.model_id, self.place)
