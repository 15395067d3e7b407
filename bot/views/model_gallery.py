"""Models as people leaf through them: a gallery of pages, a page for one model, and the question before a deletion.

No page remembers anything: who opened it, which models it shows and how far they have leafed stand in its buttons.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import discord
from discord import ui

from bot.result_text import variant_used
from bot.text import bold, cut, plain
from bot.views.download import DownloadButton
from bot.views.imagine_form import ImagineButton
from bot.views.model_buttons import STATUSES, ModelButton, OpenMenu, PageButton, Place, Scope, Verb
from bot.views.rendered import Rendered
from bot.views.variant_button import variant_row
from storage.contract import Variant
from storage.schema import Model, ModelStatus

PAGE_MODELS = 6
"""Three components and up to 400 characters a model: a page stays far below 40 and 4,000."""
ALT_CHARS = 256

WHAT_GOES = (
    "The model goes, and with it its photos and every picture of it that I keep. Nobody can bring them back. "
    "Pictures that stand in channels stay there."
)
TITLES = {Scope.MINE: "Your models", Scope.SERVER: "Models shared with this server"}
EMPTY = {
    Scope.MINE: (
        "You have none yet. Type `/train`, give your subject a name and a class such as dog, "
        "and add three to ten photos; then draw it anywhere with `/imagine`."
    ),
    Scope.SERVER: "There are none yet. Open one of yours with `/models`, and press Share.",
}


@dataclass(frozen=True)
class Shown:
    """A model and the picture that stands for it, if it has one."""

    model: Model
    cover: discord.File | None = None
    choices: Sequence[Variant] = ()
    """The variants that it can draw with, where there is a choice."""


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
        card.add_item(_entry(each, place.viewer, guild_id))
    card.add_item(ui.ActionRow(OpenMenu([each.model for each in shown], place)))
    if pages > 1:
        card.add_item(ui.ActionRow(*_leaves(place, pages)))
    return _rendered(card, [each.cover for each in shown])


def render_model(shown: Shown, place: Place, guild_id: int | None) -> Rendered:
    """Show one model with all that its viewer may do with it here."""
    model = shown.model
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.blurple())
    words = f"### {plain(model.name)} · {plain(model.class_noun)}\n{_facts(model, place.viewer, guild_id)}"
    if model.status is ModelStatus.READY:
        words += f'\nDraw it anywhere: `/imagine prompt:"{model.name} on the moon"`'
    if model.variant is not Variant.BEST:
        words += f"\n{variant_used(model.variant, model.name)}"
    card.add_item(ui.TextDisplay(words))
    if shown.cover is not None:
        card.add_item(ui.MediaGallery(discord.MediaGalleryItem(shown.cover, description=_alt(model))))
    if buttons := _buttons(model, place, guild_id):
        card.add_item(ui.ActionRow(*buttons))
    if model.owner_id == place.viewer and (row := variant_row(model, shown.choices, place)):
        card.add_item(row)
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


def _entry(shown: Shown, viewer: int, guild_id: int | None) -> ui.Item[Any]:
    model = shown.model
    words = ui.TextDisplay[Any](f"{bold(model.name)} · {plain(model.class_noun)}\n{_facts(model, viewer, guild_id)}")
    if shown.cover is None:
        return words
    return ui.Section(words, accessory=ui.Thumbnail(shown.cover, description=_alt(model)))


def _leaves(place: Place, pages: int) -> list[PageButton]:
    wanted = ((place.page - 1, "Previous"), (place.page + 1, "Next"))
    return [PageButton(replace(place, page=page), label) for page, label in wanted if 0 <= page < pages]


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
