"""A form for one model, its prompt begun, and the button that opens it: for those who would rather press than type."""

import re
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.access import seen_model
from bot.forms import Form
from bot.imagining import Wish, imagine
from bot.language import _
from bot.markup import cut
from bot.replies import pressed
from storage.contract import MAX_COUNT, MAX_PROMPT_CHARS
from storage.schema import Model

if TYPE_CHECKING:
    from bot.app import Dreambot

TITLE_CHARS = 45


class ImagineForm(Form, template=r"imagine:(?P<model>[0-9a-f]{32})"):
    def __init__(self, model: Model) -> None:
        super().__init__(
            title=cut(_("Draw {name}").format(name=model.name), TITLE_CHARS), custom_id=f"imagine:{model.id}"
        )
        self.model_id = model.id
        self.prompt = ui.TextInput[Self](
            style=discord.TextStyle.paragraph, default=f"{model.name} ", max_length=MAX_PROMPT_CHARS, custom_id="prompt"
        )
        self.count = ui.Select[Self](
            options=[discord.SelectOption(label=str(n), default=n == 1) for n in range(1, MAX_COUNT + 1)],
            custom_id="count",
        )
        self.add_item(ui.Label(text=_("Prompt"), description=_("Say where, or doing what."), component=self.prompt))
        self.add_item(ui.Label(text=_("Pictures"), component=self.count))

    @classmethod
    async def reopen(cls, interaction: "discord.Interaction[Dreambot]", match: re.Match[str]) -> Self:
        async with interaction.client.services.database.read() as session:
            return cls(await seen_model(session, match["model"], interaction))

    @pressed
    async def on_submit(self, interaction: "discord.Interaction[Dreambot]") -> None:
        await imagine(interaction, Wish(prompt=self.prompt.value, model=self.model_id, count=int(self.count.values[0])))


class ImagineButton(ui.DynamicItem[ui.Button[Any]], template=r"model:(?P<model>[0-9a-f]{32}):imagine"):
    """Open the form for a model, for anybody who may use it."""

    def __init__(self, model_id: str) -> None:
        super().__init__(
            ui.Button(
                label=_("Imagine"), emoji="🎨", style=discord.ButtonStyle.primary, custom_id=f"model:{model_id}:imagine"
            )
        )
        self.model_id = model_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["model"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        async with interaction.client.services.database.read() as session:
            model = await seen_model(session, self.model_id, interaction)
        interaction.client.services.expect(model)
        await ImagineForm(model).open(interaction)
