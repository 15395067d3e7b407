"""Reported pictures, a page at a time, with what an operator may decide about each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.access import check_operates
from bot.acknowledging import acknowledge
from bot.admin_text import DECISIONS, NO_REPORTS, case_told
from bot.language import N_, _, number
from bot.replies import pressed
from bot.views.rendered import Rendered
from storage.reports import Case, Verdict
from storage.schema import Model

if TYPE_CHECKING:
    from bot.app import Dreambot

PAGE_CASES = 3
"""Nine components and up to 1,200 characters a case: a page stays below 40 and 4,000."""
NAMES = {verdict: verdict.name.lower() for verdict in Verdict}
STYLES = {Verdict.DISMISSED: discord.ButtonStyle.secondary}
ALT = N_("The reported picture, hidden until it is clicked")


@dataclass(frozen=True)
class Shown:
    case: Case
    model: Model | None
    address: str | None
    """The link to the card, where others can be led there."""
    picture: discord.File | None


def render(shown: Sequence[Shown], total: int, page: int) -> Rendered:
    """Show one page of `total` cases; pages count from 0."""
    card = ui.Container[Any](accent_colour=discord.Colour.red())
    lines = [_("### Reported pictures")]
    if total > PAGE_CASES:
        facts = {"page": page + 1, "pages": page_count(total), "total": number(total)}
        lines.append(_("-# Page {page} of {pages} · {total} cards").format(**facts))
    card.add_item(ui.TextDisplay("\n".join(lines)))
    if not shown:
        card.add_item(ui.TextDisplay(str(NO_REPORTS)))
    for each in shown:
        card.add_item(ui.Separator())
        card.add_item(_words(each))
        card.add_item(decisions(each.case.job.id, page, with_model=each.model is not None))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    leaves = ((page - 1, _("Previous")), (page, _("Look again")), (page + 1, _("Next")))
    view.add_item(
        ui.ActionRow(*(PageButton(number, label) for number, label in leaves if 0 <= number < page_count(total)))
    )
    return Rendered(view, [each.picture for each in shown if each.picture is not None])


def page_count(total: int) -> int:
    return max(1, -(-total // PAGE_CASES))


def decisions(job_id: str, page: int | None = None, *, with_model: bool) -> ui.ActionRow[Any]:
    """Offer what can be decided about a card; `page` is where the list is to go on."""
    offered = [verdict for verdict in Verdict if with_model or verdict is not Verdict.TAKEN_DOWN]
    return ui.ActionRow(*(CaseButton(job_id, verdict, page) for verdict in offered))


def _words(shown: Shown) -> ui.Item[Any]:
    model = shown.model
    name, owner = (None, None) if model is None else (model.name, model.owner_id)
    words = ui.TextDisplay[Any](case_told(shown.case, name, owner, shown.address))
    if shown.picture is None:
        return words
    return ui.Section(words, accessory=ui.Thumbnail(shown.picture, description=str(ALT), spoiler=True))


class PageButton(ui.DynamicItem[ui.Button[Any]], template=r"cases:(?P<page>[0-9]{1,6})"):
    """Show a page, to operators alone."""

    def __init__(self, page: int, label: str) -> None:
        super().__init__(ui.Button(label=label, custom_id=f"cases:{page}"))
        self.page = page

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(int(match["page"]), "")

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.report_desk import show_reports  # here, because a press on one page makes the next page

        check_operates(interaction)
        await acknowledge(interaction)
        await show_reports(interaction, self.page)


class CaseButton(
    ui.DynamicItem[ui.Button[Any]],
    template=rf"case:(?P<job>[0-9a-f]{{32}}):(?P<verdict>{'|'.join(NAMES.values())})(?::(?P<page>[0-9]{{1,6}}))?",
):
    """Decide about a card, once. The notice in the operators' channel has these as well, and no page."""

    def __init__(self, job_id: str, verdict: Verdict, page: int | None) -> None:
        where = "" if page is None else f":{page}"
        style = STYLES.get(verdict, discord.ButtonStyle.danger)
        custom_id = f"case:{job_id}:{NAMES[verdict]}{where}"
        super().__init__(ui.Button(label=str(DECISIONS[verdict]), style=style, custom_id=custom_id))
        self.job_id, self.verdict, self.page = job_id, verdict, page

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["job"], Verdict[match["verdict"].upper()], int(match["page"]) if match["page"] else None)

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.report_desk import decide, show_reports

        check_operates(interaction)
        await acknowledge(interaction)
        try:
            await decide(interaction, self.job_id, self.verdict)
        finally:  # what somebody else decided meanwhile shows as well
            if self.page is not None:
                await show_reports(interaction, self.page)
