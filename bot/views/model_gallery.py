"""Models as people leaf through them: a gallery of pages, a page for one model, and the question before a deletion.

No page remembers anything: who opened it, which models it shows and how far they have leafed stand in its buttons.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import discord
from discord import ui

from bot.language import _, ngettext, number
from bot.markup import bold, cut, plain
from bot.model_text import NO_MODELS, SCOPES, TAKEN_DOWN, WHAT_GOES
from bot.result_text import draw_it, variant_used, verdict
from bot.uploads import MAX_FILES
from bot.views.download import DownloadButton
from bot.views.imagine_form import ImagineButton
from bot.views.model_buttons import (
    STATUSES,
    ModelButton,
    OpenMenu,
    PageButton,
    Place,
    ScopeMenu,
    SortMenu,
    UndoMenu,
    Verb,
)
from bot.views.rendered import Rendered
from bot.views.train_again import TrainAgainButton
from bot.views.variant_button import variant_row
from bot.views.version_menu import version_row
from storage.contract import Variant
from storage.gallery import Scope
from storage.schema import Model, ModelStatus
from storage.variants import Version

PAGE_MODELS = 6
"""Three components and up to 400 characters a model: a page stays far below 40 and 4,000."""
ALT_CHARS = 256


@dataclass(frozen=True)
class Shown:
    """A model and the picture that stands for it, if it has one."""

    model: Model
    cover: discord.File | None = None
    choices: Sequence[Variant] = ()
    """The variants that it can draw with, where there is a choice."""
    versions: Sequence[Version] = ()
    """Its trainings that are kept, the newest first."""
    samples: Sequence[discord.File] = ()
    """What it drew at the end of its training."""
    uses: tuple[int, int] = (0, 0)
    """How often it was drawn with, and by how many people."""
    people: int = 0
    """How many it is shared with by name."""
    roles: int = 0
    """How many roles of this server it is shared with."""
    asks: bool = False
    """Whether its training ended with a question that can still be answered."""
    taken_down: str | None = None
    """Why those who run the bot took it down."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the viewer can do on a page, beside opening a model."""

    scopes: Sequence[Scope] = (Scope.MINE, Scope.SERVER)
    deleted: Sequence[Model] = ()
    """What the viewer could take back."""


def render_page(
    shown: Sequence[Shown],
    total: int,
    place: Place,
    guild_id: int | None,
    options: Options = Options(),
) -> Rendered:
    """Show one page of `total` models, with a menu to open one, buttons to leaf, and menus for other pages."""
    pages = page_count(total)
    lines = [f"### {SCOPES[place.scope]}"]
    if pages > 1:
        leaf = {"page": place.page + 1, "pages": pages, "total": number(total)}
        lines.append(_("-# Page {page} of {pages} · {total} models").format(**leaf))
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.blurple())
    card.add_item(ui.TextDisplay("\n".join(lines)))
    if shown:
        card.add_item(ui.Separator())
        for each in shown:
            card.add_item(_entry(each, place.viewer, guild_id))
        card.add_item(ui.ActionRow(OpenMenu([each.model for each in shown], place)))
    else:
        card.add_item(ui.TextDisplay(str(NO_MODELS[place.scope])))
    if pages > 1:
        card.add_item(ui.ActionRow(*_leaves(place, pages)))
    card.add_item(ui.ActionRow(ScopeMenu(place, options.scopes)))
    if total > 1:
        card.add_item(ui.ActionRow(SortMenu(place)))
    if options.deleted:
        card.add_item(ui.ActionRow(UndoMenu(options.deleted, place)))
    return _rendered(card, [each.cover for each in shown])


def render_model(shown: Shown, place: Place, guild_id: int | None, *, may_publish: bool = False) -> Rendered:
    """Show one model with all that its viewer may do with it here; `may_publish` is the operator's word."""
    model = shown.model
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.blurple())
    facts = _facts(shown, place.viewer, guild_id, score=False)
    words = f"### {plain(model.name)} · {plain(model.class_noun)}\n{facts}"
    if model.status is ModelStatus.READY:
        words += f"\n{said}" if (said := verdict(model)) else ""
        words += f"\n{draw_it(model.name)}"
    if shown.taken_down is not None:
        words += f"\n{TAKEN_DOWN}\n> {plain(shown.taken_down)}"
    if model.variant is not Variant.BEST:
        words += f"\n{variant_used(model.variant, model.name)}"
    if history := _history(shown):
        words += f"\n-# {history}"
    card.add_item(ui.TextDisplay(words))
    pictures = [file for file in (shown.cover, *shown.samples) if file is not None][:MAX_FILES]
    if pictures:
        items = [discord.MediaGalleryItem(file, description=_alt(model)) for file in pictures]
        card.add_item(ui.MediaGallery(*items))
    for buttons in _buttons(shown, place, guild_id, may_publish=may_publish):
        card.add_item(ui.ActionRow(*buttons))
    if model.owner_id == place.viewer:
        for row in (variant_row(model, shown.choices, place), version_row(model, shown.versions, place)):
            if row is not None:
                card.add_item(row)
    card.add_item(ui.ActionRow(PageButton(place, _("Back"))))
    return _rendered(card, pictures)


def render_question(model: Model, place: Place) -> Rendered:
    """Ask before a model is deleted."""
    title = _("### Delete {name}?").format(name=plain(model.name))
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.red())
    card.add_item(ui.TextDisplay(f"{title}\n{WHAT_GOES}"))
    verbs = [Verb.BIN] if model.status is ModelStatus.READY else []
    buttons = [ModelButton(model.id, verb, place) for verb in (*verbs, Verb.ERASE, Verb.OPEN)]
    card.add_item(ui.ActionRow(*buttons))
    return _rendered(card, [])


def page_count(total: int) -> int:
    return max(1, -(-total // PAGE_MODELS))


def _rendered(card: ui.Container[ui.LayoutView], files: Sequence[discord.File | None]) -> Rendered:
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return Rendered(view, [file for file in files if file is not None])


def _entry(shown: Shown, viewer: int, guild_id: int | None) -> ui.Item[Any]:
    model = shown.model
    words = ui.TextDisplay[Any](f"{bold(model.name)} · {plain(model.class_noun)}\n{_facts(shown, viewer, guild_id)}")
    if shown.cover is None:
        return words
    return ui.Section(words, accessory=ui.Thumbnail(shown.cover, description=_alt(model)))


def _leaves(place: Place, pages: int) -> list[PageButton]:
    wanted = ((place.page - 1, _("Previous")), (place.page + 1, _("Next")))
    return [PageButton(replace(place, page=page), label) for page, label in wanted if 0 <= page < pages]


def _alt(model: Model) -> str:
    return cut(_("{name}, a {noun}, drawn by its model").format(name=model.name, noun=model.class_noun), ALT_CHARS)


def _facts(shown: Shown, viewer: int, guild_id: int | None, *, score: bool = True) -> str:
    model = shown.model
    since = model.trained_at or model.created_at
    photos = ngettext("{count} photo", "{count} photos", model.photo_count)
    status = _("asks what its photos show") if shown.asks else str(STATUSES[model.status])
    facts = [status, photos, discord.utils.format_dt(since, "R")]
    if score and model.subject_score is not None:
        facts.append(_("score {score}").format(score=number(model.subject_score, 2)))
    if model.owner_id != viewer:
        facts.append(_("by <@{owner}>").format(owner=model.owner_id))
    elif model.shared_guild_id is not None:
        here = model.shared_guild_id == guild_id
        facts.append(_("shared with this server") if here else _("shared with another server"))
    if model.public_at is not None:
        facts.append(_("for everybody"))
    return " · ".join(facts)


def _history(shown: Shown) -> str:
    """Say which version it is, and how much it is used."""
    model, (times, people) = shown.model, shown.uses
    if model.status is not ModelStatus.READY:
        return ""
    facts = [_("version {version}").format(version=model.version)]
    if times:
        drawn = ngettext("drawn once", "drawn {count} times", times)
        by_whom = ngettext("by one person", "by {count} people", people)
        facts.append(_("{drawn}, {by_whom}").format(drawn=drawn, by_whom=by_whom))
    else:
        facts.append(_("not drawn yet"))
    if shown.people:
        facts.append(ngettext("shared with one person by name", "shared with {count} people by name", shown.people))
    if shown.roles:
        facts.append(ngettext("shared with a role here", "shared with {count} roles here", shown.roles))
    return " · ".join(facts)


def _buttons(
    shown: Shown, place: Place, guild_id: int | None, *, may_publish: bool
) -> Iterator[Sequence[ui.Item[Any]]]:
    """Yield rows of what can be done with the model as it is, none of them empty and none of more than five."""
    model = shown.model
    ready, own = model.status is ModelStatus.READY, model.owner_id == place.viewer
    first: list[ui.Item[Any]] = [ImagineButton(model.id)] if ready else []
    if own:
        first.append(ModelButton(model.id, Verb.RENAME, place))
        if ready:
            first += [DownloadButton(model.id), TrainAgainButton(model.id)]
        first.append(ModelButton(model.id, Verb.DELETE, place))
    if first:
        yield first
    sharing = list(_sharing(model, guild_id, may_publish=may_publish)) if own and ready else []
    if sharing:
        yield [ModelButton(model.id, verb, place) for verb in sharing]


def _sharing(model: Model, guild_id: int | None, *, may_publish: bool) -> Iterator[Verb]:
    if model.shared_guild_id is not None:
        yield Verb.UNSHARE
    elif guild_id is not None:
        yield Verb.SHARE
    yield Verb.PEOPLE
    if model.public_at is not None:
        yield Verb.WITHDRAW
    elif may_publish:
        yield Verb.PUBLISH
    if guild_id is not None:
        yield Verb.GIVE
