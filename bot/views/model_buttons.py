"""The buttons and menu of the model gallery: they hold where they stand and what to do; `bot.model_pages` does it."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.language import N_, _
from bot.markup import cut
from bot.model_text import SCOPES, SORTS
from bot.replies import pressed
from storage.gallery import Scope, Sort
from storage.schema import Model, ModelStatus

if TYPE_CHECKING:
    from bot.app import Dreambot

OPTION_CHARS = 100
PLACE = (
    rf"(?P<viewer>[0-9]{{1,20}}):(?P<scope>{'|'.join(Scope)}):(?P<page>[0-9]{{1,6}})(?::(?P<sort>{'|'.join(Sort)}))?"
)

STATUSES = {
    ModelStatus.TRAINING: N_("training"),
    ModelStatus.READY: N_("ready"),
    ModelStatus.FAILED: N_("training failed"),
    ModelStatus.TAKEN_DOWN: N_("taken down"),
}


@dataclass(frozen=True)
class Place:
    """Where in the gallery somebody is; pages count from 0."""

    viewer: int
    scope: Scope
    page: int = 0
    sort: Sort = Sort.NEWEST

    def __str__(self) -> str:
        order = "" if self.sort is Sort.NEWEST else f":{self.sort}"
        return f"{self.viewer}:{self.scope}:{self.page}{order}"

    @classmethod
    def read(cls, match: re.Match[str]) -> Self:
        sort = Sort(match["sort"]) if match["sort"] else Sort.NEWEST
        return cls(int(match["viewer"]), Scope(match["scope"]), int(match["page"]), sort)


class Verb(StrEnum):
    """What a button of a model's page does."""

    OPEN = "open"
    SHARE = "share"
    UNSHARE = "unshare"
    RENAME = "rename"
    PEOPLE = "people"
    PUBLISH = "publish"
    WITHDRAW = "withdraw"
    GIVE = "give"
    DELETE = "delete"
    BIN = "bin"
    ERASE = "erase"


LABELS: Mapping[Verb, tuple[N_, discord.ButtonStyle]] = {
    Verb.OPEN: (N_("Keep it"), discord.ButtonStyle.secondary),
    Verb.SHARE: (N_("Share with this server"), discord.ButtonStyle.secondary),
    Verb.UNSHARE: (N_("Stop sharing"), discord.ButtonStyle.secondary),
    Verb.RENAME: (N_("Rename"), discord.ButtonStyle.secondary),
    Verb.PEOPLE: (N_("Share with people or roles"), discord.ButtonStyle.secondary),
    Verb.PUBLISH: (N_("Share with everybody"), discord.ButtonStyle.secondary),
    Verb.WITHDRAW: (N_("No longer for everybody"), discord.ButtonStyle.secondary),
    Verb.GIVE: (N_("Give away"), discord.ButtonStyle.secondary),
    Verb.DELETE: (N_("Delete"), discord.ButtonStyle.danger),
    Verb.BIN: (N_("Delete, and let me undo it for a day"), discord.ButtonStyle.danger),
    Verb.ERASE: (N_("Delete it for good"), discord.ButtonStyle.danger),
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
        super().__init__(ui.Select(placeholder=_("Open a model"), options=options, custom_id=f"models:{place}:open"))
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


class ScopeMenu(ui.DynamicItem[ui.Select[Any]], template=rf"models:{PLACE}:scope"):
    """Choose whose models to look at."""

    def __init__(self, place: Place, scopes: Sequence[Scope]) -> None:
        options = [
            discord.SelectOption(label=str(SCOPES[scope]), value=scope, default=scope is place.scope)
            for scope in scopes
        ]
        super().__init__(ui.Select(options=options, custom_id=f"models:{place}:scope"))
        self.place = place

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        place = Place.read(match)
        return cls(place, [place.scope])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.model_pages import turn_to

        await turn_to(interaction, replace(self.place, scope=Scope(self.item.values[0]), page=0))


class SortMenu(ui.DynamicItem[ui.Select[Any]], template=rf"models:{PLACE}:sort"):
    """Choose the order."""

    def __init__(self, place: Place) -> None:
        options = [
            discord.SelectOption(label=str(label), value=sort, default=sort is place.sort)
            for sort, label in SORTS.items()
        ]
        super().__init__(ui.Select(options=options, custom_id=f"models:{place}:sort"))
        self.place = place

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(Place.read(match))

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.model_pages import turn_to

        await turn_to(interaction, replace(self.place, sort=Sort(self.item.values[0]), page=0))


class UndoMenu(ui.DynamicItem[ui.Select[Any]], template=rf"models:{PLACE}:undo"):
    """Take a deleted model back."""

    def __init__(self, models: Sequence[Model], place: Place) -> None:
        options = [
            discord.SelectOption(
                label=cut(model.name, OPTION_CHARS),
                value=model.id,
                description=cut(_("{noun} · goes for good within a day").format(noun=model.class_noun), OPTION_CHARS),
            )
            for model in models
        ]
        super().__init__(
            ui.Select(placeholder=_("Take back what you deleted"), options=options, custom_id=f"models:{place}:undo")
        )
        self.place = place

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls([], Place.read(match))

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.model_pages import undo

        await undo(interaction, self.item.values[0], self.place)


Action = Callable[["discord.Interaction[Dreambot]", str, Place], Awaitable[None]]


class ModelButton(
    ui.DynamicItem[ui.Button[Any]],
    template=rf"model:(?P<model>[0-9a-f]{{32}}):(?P<verb>{'|'.join(Verb)}):{PLACE}",
):
    """Do something with a model, if it is the presser's, and show what has become of it."""

    def __init__(self, model_id: str, verb: Verb, place: Place) -> None:
        label, style = LABELS[verb]
        super().__init__(ui.Button(label=str(label), style=style, custom_id=f"model:{model_id}:{verb}:{place}"))
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
