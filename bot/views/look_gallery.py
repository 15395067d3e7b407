"""Looks as people leaf through them: a picture and a line of each, a menu to draw with one, and a server's own."""

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.acknowledging import acknowledge
from bot.imagine_text import LOOKS_INTRODUCED
from bot.language import _
from bot.looks import Look
from bot.markup import cut, plain, quote
from bot.quota_text import AMOUNTS
from bot.replies import pressed
from bot.views.rendered import Rendered
from storage.contract import JobKind

if TYPE_CHECKING:
    from bot.app import Dreambot

PAGE_LOOKS = 6
OPTION_CHARS = 100
WORDS_CHARS = 160
MOST_OPTIONS = 25


def render(looks: Sequence[Look], page: int, *, may_keep: bool) -> Rendered:
    """Show a page, counted from 0; `may_keep` lets the viewer add looks and remove the server's own."""
    pages = page_count(len(looks))
    page = min(page, pages - 1)
    shown = looks[page * PAGE_LOOKS : (page + 1) * PAGE_LOOKS]
    lines = [_("### Looks"), str(LOOKS_INTRODUCED)]
    if pages > 1:
        facts = {"page": page + 1, "pages": pages, "total": len(looks)}
        lines.append(_("-# Page {page} of {pages} · {total} looks").format(**facts))
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.blurple())
    card.add_item(ui.TextDisplay("\n".join(lines)))
    card.add_item(ui.Separator())
    files = []
    for look in shown:
        file = _preview(look)
        card.add_item(_entry(look, file))
        files += [] if file is None else [file]
    card.add_item(ui.ActionRow(TryMenu(shown)))
    wanted = ((page - 1, _("Previous")), (page + 1, _("Next")))
    buttons: list[ui.Item[Any]] = [PageButton(number, label) for number, label in wanted if 0 <= number < pages]
    if buttons or may_keep:
        card.add_item(ui.ActionRow(*buttons, *([AddButton()] if may_keep else [])))
    if may_keep and (own := [look for look in looks if look.of_server]):
        card.add_item(ui.ActionRow(RemoveMenu(own[:MOST_OPTIONS], page)))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return Rendered(view, files)


def page_count(total: int) -> int:
    return max(1, -(-total // PAGE_LOOKS))


def _preview(look: Look) -> discord.File | None:
    path = look.preview
    return None if path is None else discord.File(io.BytesIO(path.read_bytes()), f"look-{look.id}.png")


def _entry(look: Look, file: discord.File | None) -> ui.Item[Any]:
    facts = [f"**{plain(look.title)}**", _("this server's own") if look.of_server else look.line]
    if look.count:
        facts.append(AMOUNTS[JobKind.IMAGINE].format(look.count))
    words = ui.TextDisplay[Any](f"{' · '.join(facts)}\n-# {quote(look.words, WORDS_CHARS)}")
    if file is None:
        return words
    alt = _("A picture in the look {name}: {about}").format(name=look.title, about=look.line)
    return ui.Section(words, accessory=ui.Thumbnail(file, description=alt))


class PageButton(ui.DynamicItem[ui.Button[Any]], template=r"looks:(?P<page>[0-9]{1,4})"):
    def __init__(self, page: int, label: str) -> None:
        super().__init__(ui.Button(label=label, custom_id=f"looks:{page}"))
        self.page = page

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(int(match["page"]), "")

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.look_pages import show_looks  # here, because a press on one page makes the next page

        await acknowledge(interaction)
        await show_looks(interaction, self.page)


class TryMenu(ui.DynamicItem[ui.Select[Any]], template=r"looks:try"):
    """Choose a look of the page, and say in a form whom to draw."""

    def __init__(self, looks: Sequence[Look]) -> None:
        options = [
            discord.SelectOption(
                label=cut(look.title, OPTION_CHARS), value=look.id, description=cut(look.line, OPTION_CHARS) or None
            )
            for look in looks
        ]
        super().__init__(ui.Select(placeholder=_("Draw with a look"), options=options, custom_id="looks:try"))

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], _match: re.Match[str], /
    ) -> Self:
        return cls([])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.views.look_forms import TryForm

        await (await TryForm.of(interaction, self.item.values[0])).open(interaction)


class AddButton(ui.DynamicItem[ui.Button[Any]], template=r"looks:add"):
    """Write a look of the server's own."""

    def __init__(self) -> None:
        super().__init__(ui.Button(label=_("Add a look"), emoji="➕", custom_id="looks:add"))

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], _match: re.Match[str], /
    ) -> Self:
        return cls()

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.views.look_forms import AddForm

        await AddForm().open(interaction)


class RemoveMenu(ui.DynamicItem[ui.Select[Any]], template=r"looks:remove:(?P<page>[0-9]{1,4})"):
    """Take one of the server's own looks away."""

    def __init__(self, looks: Sequence[Look], page: int) -> None:
        options = [discord.SelectOption(label=cut(look.title, OPTION_CHARS), value=look.id) for look in looks]
        super().__init__(
            ui.Select(
                placeholder=_("Remove one of this server's own"), options=options, custom_id=f"looks:remove:{page}"
            )
        )
        self.page = page

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls([], int(match["page"]))

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.look_pages import remove

        await remove(interaction, self.item.values[0], self.page)
