"""The buttons and menu of the model gallery: they hold where they stand and what to do; `bot.model_pages` does it."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.replies import pressed
from bot.text import cut
from storage.schema import Model, ModelStatus

if TYPE_CHECKING:
    from bot.app import Dreambot

OPTION_CHARS = 100
PLACE = r"(?P<viewer>[0-9]{1,20}):(?P<scope>mine|server):(?P<page>[0-9]{1,6})"

STATUSES = {
    ModelStatus.TRAINING: "training",
    ModelStatus.READY: "ready",
    ModelStatus.FAILED: "training failed",
}


class Scope(StrEnum):
    MINE = "mine"
    SERVER = "server"


@dataclass(frozen=True)
class Place:
    """Where in the gallery somebody is; pages count from 0."""

    viewer: int
    scope: Scope
    page: int = 0

    def __str__(self) -> str:
        return f"{self.viewer}:{self.scope}:{self.page}"

    @classmethod
    def read(cls, match: re.Match[str]) -> Self:
        return cls(int(match["viewer"]), Scope(match["scope"]), int(match["page"]))


class Verb(StrEnum):
    """What a button of a model's page does."""

    OPEN = "open"
    SHARE = "share"
    UNSHARE = "unshare"
    RENAME = "rename"
    DELETE = "delete"
    ERASE = "erase"


LABELS: Mapping[Verb, tuple[str, discord.ButtonStyle]] = {
    Verb.OPEN: ("Keep it", discord.ButtonStyle.secondary),
    Verb.SHARE: ("Share with this server", discord.ButtonStyle.secondary),
    Verb.UNSHARE: ("Stop sharing", discord.ButtonStyle.secondary),
    Verb.RENAME: ("Rename", discord.ButtonStyle.secondary),
    Verb.DELETE: ("Delete", discord.ButtonStyle.danger),
    Verb.ERASE: ("Delete it for good", discord.ButtonStyle.danger),
}


class PageButton(ui.DynamicItem[ui.Button[Any]], template=rf"models:{PLACE}"):
    """Leaf to a page of the gallery."""

    def __init__(self, place: Place, label: str) -> None:
        super().__init__(ui.Button(label=label, custom_id=f"models:{place}"))
        self.place = place

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(Place.read(match), "")

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.model_pages import turn_to  # here, because a press on one page makes the next page

        await turn_to(interaction, self.place)


class OpenMenu(ui.DynamicItem[ui.Select[Any]], template=rf"models:{PLACE}:open"):
    """Choose a model of the page."""

    def __init__(self, models: Sequence[Model], place: Place) -> None:
        options = [
            discord.SelectOption(
                label=cut(model.name, OPTION_CHARS),
                value=model.id,
                description=cut(f"{model.class_noun} · {STATUSES[model.status]}", OPTION_CHARS),
            )
            for model in models
        ]
        super().__init__(ui.Select(placeholder="Open a model", options=options, custom_id=f"models:{place}:open"))
        self.place = place

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls([], Place.read(match))

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.model_pages import open_model

        await open_model(interaction, self.item.values[0], self.place)


Action = Callable[["discord.Interaction[Dreambot]", str, Place], Awaitable[None]]


class ModelButton(
    ui.DynamicItem[ui.Button[Any]],
    template=rf"model:(?P<model>[0-9a-f]{{32}}):(?P<verb>{'|'.join(Verb)}):{PLACE}",
):
    """Do something with a model, if it is the presser's, and show what has become of it."""

    def __init__(self, model_id: str, verb: Verb, place: Place) -> None:
        label, style = LABELS[verb]
        super().__init__(ui.Button(label=label, style=style, custom_id=f"model:{model_id}:{verb}:{place}"))
        self.model_id, self.verb, self.place = model_id, verb, place

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["model"], Verb(match["verb"]), Place.read(match))

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.model_pages import ACTIONS

        await ACTIONS[self.verb](interaction, self.model_id, self.place)
