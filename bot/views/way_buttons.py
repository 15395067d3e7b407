"""The ways to go on from a picture: a button for each, and a menu that chooses one of several pictures first."""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.language import N_
from bot.replies import pressed
from bot.rework_text import GO_ON_FROM, PICTURE, WHAT_OF_THIS
from bot.views.rendered import Rendered
from storage.contract import ImagineRequest, Tool
from storage.schema import Image, Job

if TYPE_CHECKING:
    from bot.app import Dreambot

MOST_PIXELS = 2048 * 2048
"""Of a picture that was enlarged: it could not be shown beyond."""


class Way(StrEnum):
    SUBTLE = "subtle"
    STRONG = "strong"
    UPSCALE = "upscale"
    PART = "part"
    AROUND = "around"


LABELS = {
    Way.SUBTLE: (N_("Vary a little"), "🎲"),
    Way.STRONG: (N_("Vary a lot"), "🌪️"),
    Way.UPSCALE: (N_("Twice the size"), "🔍"),
    Way.PART: (N_("Draw a part anew"), "🖌️"),
    Way.AROUND: (N_("More around it"), "↔️"),
}


class WayButton(
    ui.DynamicItem[ui.Button[Any]],
    template=rf"picture:(?P<job>[0-9a-f]{{32}}):(?P<way>{'|'.join(Way)})(?::(?P<position>[0-9]))?",
):
    """Go on in one way from one picture, counted from 0, of a card."""

    def __init__(self, job_id: str, way: Way, position: int = 0) -> None:
        label, emoji = LABELS[way]
        super().__init__(ui.Button(label=str(label), emoji=emoji, custom_id=f"picture:{job_id}:{way}:{position}"))
        self.job_id, self.way, self.position = job_id, way, position

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["job"], Way(match["way"]), int(match["position"] or 0))

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.picture_actions import WAYS  # here, because a press on one card makes the next card

        await WAYS[self.way](interaction, self.job_id, self.position)


class PictureMenu(ui.DynamicItem[ui.Select[Any]], template=r"picture:(?P<job>[0-9a-f]{32}):work"):
    """Choose one of several pictures to go on from."""

    def __init__(self, job_id: str, count: int) -> None:
        options = [
            discord.SelectOption(label=PICTURE.format(number=number), value=str(number - 1))
            for number in range(1, count + 1)
        ]
        super().__init__(ui.Select(placeholder=str(GO_ON_FROM), options=options, custom_id=f"picture:{job_id}:work"))
        self.job_id = job_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["job"], 1)

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.picture_actions import offer_ways

        await offer_ways(interaction, self.job_id, int(self.item.values[0]))


def ways_from(job: Job, image: Image) -> list[Way]:
    """Return what can be made of a picture of a job."""
    source = ImagineRequest.model_validate(job.request).source
    upscaled = source is not None and source.tool is Tool.UPSCALE
    small = 4 * image.width * image.height <= MOST_PIXELS
    return [way for way in Way if way is not Way.UPSCALE or (small and not upscaled)]


def render_ways(job: Job, image: Image, position: int, files: Sequence[discord.File]) -> Rendered:
    """Offer the ways to go on from one picture of the card that `job` leads, and show it: `files` hold it alone."""
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.blurple())
    card.add_item(ui.TextDisplay(f"### {PICTURE.format(number=position + 1)}\n{WHAT_OF_THIS}"))
    if files:
        alt = PICTURE.format(number=position + 1)
        card.add_item(
            ui.MediaGallery(*(discord.MediaGalleryItem(f, description=alt, spoiler=job.spoiler) for f in files))
        )
    card.add_item(ui.ActionRow(*(WayButton(job.id, way, position) for way in ways_from(job, image))))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return Rendered(view, list(files))
