"""The buttons under pictures: each holds a job and what to do with it; `bot.picture_actions` does it."""

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.language import N_, _
from bot.replies import pressed
from bot.rework_text import PICTURE

if TYPE_CHECKING:
    from bot.app import Dreambot


class Verb(StrEnum):
    AGAIN = "again"
    SAME = "same"
    BEST = "best"
    EDIT = "edit"
    DETAILS = "details"
    DELETE = "delete"
    COVER = "cover"
    REPORT = "report"


LABELS = {
    Verb.AGAIN: (N_("Again"), "🔁"),
    Verb.SAME: (N_("Same seed"), "🌱"),
    Verb.BEST: (N_("In best quality"), "✨"),
    Verb.EDIT: (N_("Edit prompt"), "✏️"),
    Verb.DETAILS: (N_("Details"), "🔎"),
    Verb.DELETE: (N_("Delete"), "🗑️"),
    Verb.COVER: (N_("Make it the cover"), "🖼️"),
    Verb.REPORT: (N_("Report"), "🚩"),
}


class PictureButton(
    ui.DynamicItem[ui.Button[Any]], template=rf"picture:(?P<job>[0-9a-f]{{32}}):(?P<verb>{'|'.join(Verb)})"
):
    def __init__(self, job_id: str, verb: Verb) -> None:
        label, emoji = LABELS[verb]
        super().__init__(ui.Button(label=str(label), emoji=emoji, custom_id=f"picture:{job_id}:{verb}"))
        self.job_id, self.verb = job_id, verb

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["job"], Verb(match["verb"]))

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.picture_actions import ACTIONS  # here, because a press on one card makes the next card

        await ACTIONS[self.verb](interaction, self.job_id)


class CoverMenu(ui.DynamicItem[ui.Select[Any]], template=r"picture:(?P<job>[0-9a-f]{32}):cover:choose"):
    """Choose which of several pictures becomes the cover."""

    def __init__(self, job_id: str, count: int) -> None:
        options = [
            discord.SelectOption(label=PICTURE.format(number=number), value=str(number))
            for number in range(1, count + 1)
        ]
        super().__init__(
            ui.Select(placeholder=_("Which picture?"), options=options, custom_id=f"picture:{job_id}:cover:choose")
        )
        self.job_id = job_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["job"], 1)

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.picture_actions import make_cover

        await make_cover(interaction, self.job_id, int(self.item.values[0]) - 1)
