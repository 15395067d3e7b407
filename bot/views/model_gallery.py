"""Models as people leaf through them: a gallery of pages, a page for one model, and the question before a deletion.

No page remembers anything: who opened it, which models it shows and how far they have leafed stand in its buttons.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.replies import pressed
from bot.text import bold, cut, plain
from bot.views.download import DownloadButton
from bot.views.imagine_form import ImagineButton
from bot.views.rendered import Rendered
from storage.schema import Model, ModelStatus

if TYPE_CHECKING:
    from bot.app import Dreambot

PAGE_MODELS = 6
"""Three components and up to 400 characters a model: a page stays far below 40 and 4,000."""
OPTION_CHARS = 100
ALT_CHARS = 256
PLACE = r"(?P<viewer>[0-9]{1,20}):(?P<scope>mine|server):(?P<page>[0-9]{1,6})"

STATUSES = {
    ModelStatus.TRAINING: "training",
    ModelStatus.READY: "ready",
    ModelStatus.FAILED: "training failed",
}


WHAT_GOES = (
    "The model goes, and with it its photos and every picture of it that I keep. Nobody can bring them back. "
    "Pictures that stand in channels stay there."
)


class Scope(StrEnum):
    MINE = "mine"
    SERVER = "server"


TITLES = {Scope.MINE: "Your models", Scope.SERVER: "Models shared with this server"}
EMPTY = {
    Scope.MINE: (
        "You have none yet. Type `/train`, give your subject a name and a class such as dog, "
        "and add three to ten photos; then draw it anywhere with `/imagine`."
    ),
    Scope.SERVER: "There are none yet. Open one of yours with `/models`, and press Share.",
}


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


@dataclass(frozen=True)
class Shown:
    """A model and the picture that stands for it, if it has one."""

    model: Model
    cover: discord.File | None = None


def render_page(shown: Sequence[Shown], total: int, place: Place, guild_id: int | None) -> Rendered:
    """Show one page of `total` models, with a menu to open one and buttons to leaf."""
    pages = page_count(total)
    where = f"\n-# Page {place.page + 1} of {pages} · {total} models" if pages > 1 else ""
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.blurple())
    card.add_item(ui.TextDisplay(f"### {TITLES[place.scope]}{where}"))
    if not shown:
        card.add_item(ui.TextDisplay(EMPTY[place.scope]))
        return _rendered(card, [])
    card.add_item(ui.Separator())
    for each in shown:
        words = (
            f"{bold(each.model.name)} · {plain(each.model.class_noun)}\n{_facts(each.model, place.viewer, guild_id)}"
        )
        card.add_item(_beside(ui.TextDisplay(words), each))
    card.add_item(ui.ActionRow(OpenMenu([each.model for each in shown], place)))
    leaves = [
        PageButton(replace(place, page=page), label)
        for page, label in ((place.page - 1, "Previous"), (place.page + 1, "Next"))
        if 0 <= page < pages
    ]
    if leaves:
        card.add_item(ui.ActionRow(*leaves))
    return _rendered(card, [each.cover for each in shown])


def render_model(shown: Shown, place: Place, guild_id: int | None) -> Rendered:
    """Show one model with all that its viewer may do with it here."""
    model = shown.model
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.blurple())
    words = f"### {plain(model.name)} · {plain(model.class_noun)}\n{_facts(model, place.viewer, guild_id)}"
    if model.status is ModelStatus.READY:
        words += f'\nDraw it anywhere: `/imagine prompt:"{model.name} on the moon"`'
    card.add_item(ui.TextDisplay(words))
    if shown.cover is not None:
        card.add_item(ui.MediaGallery(discord.MediaGalleryItem(shown.cover, description=_alt(model))))
    if buttons := _buttons(model, place, guild_id):
        card.add_item(ui.ActionRow(*buttons))
    card.add_item(ui.ActionRow(PageButton(place, "Back")))
    return _rendered(card, [shown.cover])


def render_question(model: Model, place: Place) -> Rendered:
    """Ask before a model is deleted."""
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.red())
    card.add_item(ui.TextDisplay(f"### Delete {plain(model.name)}?\n{WHAT_GOES}"))
    keep = ModelButton(model.id, Verb.OPEN, place)
    card.add_item(ui.ActionRow(ModelButton(model.id, Verb.ERASE, place), keep))
    return _rendered(card, [])


def page_count(total: int) -> int:
    return max(1, -(-total // PAGE_MODELS))


def _rendered(card: ui.Container[ui.LayoutView], files: Sequence[discord.File | None]) -> Rendered:
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return Rendered(view, [file for file in files if file is not None])


def _beside(words: ui.TextDisplay[Any], shown: Shown) -> ui.Item[Any]:
    if shown.cover is None:
        return words
    return ui.Section(words, accessory=ui.Thumbnail(shown.cover, description=_alt(shown.model)))


def _alt(model: Model) -> str:
    return cut(f"{model.name}, a {model.class_noun}, drawn by its model", ALT_CHARS)


def _facts(model: Model, viewer: int, guild_id: int | None) -> str:
    since = model.trained_at or model.created_at
    facts = [STATUSES[model.status], f"{model.photo_count} photos", discord.utils.format_dt(since, "R")]
    if model.subject_score is not None:
        facts.append(f"score {model.subject_score:.2f}")
    if model.owner_id != viewer:
        facts.append(f"by <@{model.owner_id}>")
    elif model.shared_guild_id is not None:
        facts.append("shared with this server" if model.shared_guild_id == guild_id else "shared with another server")
    return " · ".join(facts)


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


def _buttons(model: Model, place: Place, guild_id: int | None) -> list[ui.Item[Any]]:
    """Offer what can be done with the model as it is, at most the five buttons that fit into a row."""
    ready, own = model.status is ModelStatus.READY, model.owner_id == place.viewer
    buttons: list[ui.Item[Any]] = [ImagineButton(model.id)] if ready else []
    if own:
        verbs = [Verb.RENAME, Verb.DELETE]
        if model.shared_guild_id is not None:
            verbs.insert(0, Verb.UNSHARE)
        elif ready and guild_id is not None:
            verbs.insert(0, Verb.SHARE)
        buttons += [ModelButton(model.id, verb, place) for verb in verbs]
        if ready:
            buttons.insert(-1, DownloadButton(model.id))
    return buttons


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
