"""Two forms about a picture: which part of it to draw anew and as what, and how much more to draw around it."""

import re
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.forms import Form
from bot.imagine_text import SHAPES
from bot.masks import Region
from bot.replies import pressed
from bot.rework_text import (
    AROUND_TITLE,
    HOW_TO_PAINT,
    OR_PAINT,
    PART_TITLE,
    REGIONS,
    WHAT_IS_AROUND,
    WHAT_IS_AROUND_HINT,
    WHAT_SHAPE,
    WHAT_THEN,
    WHAT_THEN_HINT,
    WHICH_PART,
)
from bot.reworking import Begun, begin, draw_around, draw_part, shapes_around
from bot.templates import MAX_TEMPLATE_CHARS
from storage.bases import Shape

if TYPE_CHECKING:
    from bot.app import Dreambot

PICTURE = r"(?P<job>[0-9a-f]{32}):(?P<position>[0-9])"


class PartForm(Form, template=rf"part:{PICTURE}"):
    def __init__(self, job_id: str, position: int, begun: Begun) -> None:
        super().__init__(title=str(PART_TITLE), custom_id=f"part:{job_id}:{position}")
        self.begun = begun
        self.region = ui.Select[Self](
            required=False,
            custom_id="region",
            options=[discord.SelectOption(label=str(label), value=region) for region, label in REGIONS.items()],
        )
        self.painted: ui.FileUpload[Any] = ui.FileUpload(custom_id="painted", required=False, max_values=1)
        self.prompt = _words(begun.words)
        self.add_item(ui.Label(text=str(WHICH_PART), component=self.region))
        self.add_item(ui.Label(text=str(OR_PAINT), description=str(HOW_TO_PAINT), component=self.painted))
        self.add_item(ui.Label(text=str(WHAT_THEN), description=str(WHAT_THEN_HINT), component=self.prompt))

    @classmethod
    async def reopen(cls, interaction: "discord.Interaction[Dreambot]", match: re.Match[str]) -> Self:
        job_id, position = match["job"], int(match["position"])
        return cls(job_id, position, await begin(interaction, job_id, position))

    @pressed
    async def on_submit(self, interaction: "discord.Interaction[Dreambot]") -> None:
        region = Region(self.region.values[0]) if self.region.values else None
        painted = self.painted.values[0] if self.painted.values else None
        await draw_part(interaction, self.begun, self.prompt.value, region, painted)


class AroundForm(Form, template=rf"around:{PICTURE}"):
    def __init__(self, job_id: str, position: int, begun: Begun) -> None:
        super().__init__(title=str(AROUND_TITLE), custom_id=f"around:{job_id}:{position}")
        self.begun = begun
        self.shape = ui.Select[Self](
            custom_id="shape",
            options=[
                discord.SelectOption(label=str(SHAPES[shape]), value=shape, default=place == 0)
                for place, shape in enumerate(shapes_around(begun.image))
            ],
        )
        self.place = _words(begun.place)
        self.add_item(ui.Label(text=str(WHAT_SHAPE), component=self.shape))
        self.add_item(ui.Label(text=str(WHAT_IS_AROUND), description=str(WHAT_IS_AROUND_HINT), component=self.place))

    @classmethod
    async def reopen(cls, interaction: "discord.Interaction[Dreambot]", match: re.Match[str]) -> Self:
        job_id, position = match["job"], int(match["position"])
        return cls(job_id, position, await begin(interaction, job_id, position))

    @pressed
    async def on_submit(self, interaction: "discord.Interaction[Dreambot]") -> None:
        await draw_around(interaction, self.begun, self.place.value, Shape(self.shape.values[0]))


def _words(begin_with: str) -> ui.TextInput[Any]:
    return ui.TextInput(
        style=discord.TextStyle.paragraph,
        default=begin_with[:MAX_TEMPLATE_CHARS],
        max_length=MAX_TEMPLATE_CHARS,
        custom_id="prompt",
    )
