"""The form for a story: a title, and its scenes line by line."""

import re
from typing import TYPE_CHECKING, Self

import discord
from discord import ui

from bot.access import seen_model
from bot.forms import Form
from bot.imagining import Wish, imagine
from bot.language import _
from bot.markup import cut
from bot.prompts import tidy
from bot.replies import pressed
from bot.runs import TAKES
from bot.stories import MAX_SCENE_CHARS, MAX_SCENES, read_scenes
from storage.schema import Model

if TYPE_CHECKING:
    from bot.app import Dreambot

TITLE_CHARS = 45
MAX_TITLE_CHARS = 80
PLACEHOLDER_CHARS = 100
MAX_FORM_CHARS = 4000
"""What Discord takes in one field."""
NO_LOOK_SAID = "-"


class StoryForm(Form, template=r"story:(?P<model>[0-9a-f]{32}):(?P<look>[0-9a-z]{1,32}|-)"):
    def __init__(self, model: Model, look: str | None) -> None:
        custom_id = f"story:{model.id}:{look or NO_LOOK_SAID}"
        super().__init__(title=cut(_("A story about {name}").format(name=model.name), TITLE_CHARS), custom_id=custom_id)
        self.model, self.look = model, look
        self.heading = ui.TextInput[Self](
            placeholder=cut(_("{name} goes out").format(name=model.name), PLACEHOLDER_CHARS),
            max_length=MAX_TITLE_CHARS,
            custom_id="title",
        )
        self.scenes = ui.TextInput[Self](
            style=discord.TextStyle.paragraph,
            placeholder=cut(f"{model.name} wakes up\n{model.name} at the beach", PLACEHOLDER_CHARS),
            max_length=min(MAX_FORM_CHARS, MAX_SCENES * (MAX_SCENE_CHARS + 1)),
            custom_id="scenes",
        )
        self.add_item(ui.Label(text=_("Title"), component=self.heading))
        about = _("One to {most}, a line for each; every line becomes a page, the best of {takes} pictures.").format(
            most=MAX_SCENES, takes=TAKES
        )
        self.add_item(ui.Label(text=_("Scenes"), description=about, component=self.scenes))

    @classmethod
    async def reopen(cls, interaction: "discord.Interaction[Dreambot]", match: re.Match[str]) -> Self:
        look = None if match["look"] == NO_LOOK_SAID else match["look"]
        async with interaction.client.services.database.read() as session:
            model = await seen_model(session, match["model"], interaction)
        return cls(model, look)

    @pressed
    async def on_submit(self, interaction: "discord.Interaction[Dreambot]") -> None:
        title = tidy(self.heading.value) or _("A story about {name}").format(name=self.model.name)
        scenes = read_scenes(self.scenes.value)
        await imagine(interaction, Wish(prompt=title, model=self.model.id, look=self.look, scenes=scenes))
