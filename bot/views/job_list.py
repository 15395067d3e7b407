"""A person's jobs of the last days, a page at a time; like every view, it remembers nothing."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.acknowledging import acknowledge
from bot.cost_text import duration
from bot.job_text import in_line, too_late
from bot.language import N_, Plural, _, ngettext, number
from bot.markup import bold, quote
from bot.replies import pressed
from bot.views.cancel_button import CancelButton
from bot.views.rendered import Rendered
from bot.views.training_card import STAGES, failed, learned
from storage.contract import JobKind, Stage
from storage.erasure import DELETED_NAME
from storage.history import HISTORY, Entry
from storage.schema import WAITING, DeliveryProblem, Job, JobState

if TYPE_CHECKING:
    from bot.app import Dreambot

PAGE_JOBS = 5
"""Up to 700 characters and three components a job: a page stays below 4,000 and 40."""
PROMPT_CHARS = 100

EMPTY = N_("There are none. `/imagine` draws a picture, and `/train` teaches me what something of yours looks like.")
PROBLEMS = {
    DeliveryProblem.CLOSED: N_("I could not post it: the channel is gone or closed to me."),
    DeliveryProblem.EXPIRED: N_("It took longer than a private reply lives."),
    DeliveryProblem.REFUSED: N_("Discord would not take the message."),
}
USED = {
    JobKind.IMAGINE: Plural("{used} of {count} picture in 24 hours", "{used} of {count} pictures in 24 hours"),
    JobKind.TRAIN: Plural("{used} of {count} training in 24 hours", "{used} of {count} trainings in 24 hours"),
}
ADVICE = N_("`/settings` lets me write to you directly in such a case.")


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What of a quota is taken; None is no limit."""

    used: int
    limit: int | None


def render(
    entries: Sequence[Entry], total: int, page: int, usage: dict[JobKind, Usage], *, worker_alive: bool = True
) -> Rendered:
    """Show one page of `total` jobs; pages count from 0."""
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.blurple())
    title = _("### Your jobs of the last {days} days").format(days=HISTORY.days)
    card.add_item(ui.TextDisplay(f"{title}\n{_summary(total, page, usage)}"))
    if not entries:
        card.add_item(ui.TextDisplay(str(EMPTY)))
    else:
        card.add_item(ui.Separator())
    for entry in entries:
        card.add_item(_item(entry, page, worker_alive=worker_alive))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    view.add_item(ui.ActionRow(*_leaves(page, page_count(total))))
    return Rendered(view)


def page_count(total: int) -> int:
    return max(1, -(-total // PAGE_JOBS))


def back_to(page: int) -> ui.ActionRow[Any]:
    """Lead from one job back to its page."""
    return ui.ActionRow(PageButton(page, _("Back")))


def _summary(total: int, page: int, usage: dict[JobKind, Usage]) -> str:
    facts = []
    if total > PAGE_JOBS:
        leaf = {"page": page + 1, "pages": page_count(total), "total": number(total)}
        facts.append(_("Page {page} of {pages} · {total} jobs").format(**leaf))
    for kind, of_limit in USED.items():
        if (limit := usage[kind].limit) is not None:
            facts.append(of_limit.format(limit, used=number(usage[kind].used)))
    return f"-# {' · '.join(facts)}" if facts else ""


def _item(entry: Entry, page: int, *, worker_alive: bool) -> ui.Item[Any]:
    words = ui.TextDisplay[Any]("\n".join(_lines(entry, worker_alive=worker_alive)))
    button = _button(entry, page)
    return words if button is None else ui.Section(words, accessory=button)


def _button(entry: Entry, page: int) -> ui.Item[Any] | None:
    job = entry.job
    if not job.state.ended:
        return CancelButton(job.id) if job.cancel_requested_at is None else None
    if job.kind is JobKind.TRAIN:
        there = entry.model is not None and entry.model.deleted_at is None
    else:
        there = entry.pictures > 0
    return ShowButton(job.id, page) if there and job.state is JobState.SUCCEEDED else None


def _lines(entry: Entry, *, worker_alive: bool) -> Iterator[str]:
    yield _title(entry)
    yield _standing(entry, worker_alive=worker_alive)
    if entry.problem is not None:
        helps = entry.problem is not DeliveryProblem.REFUSED and not entry.direct
        yield f"{PROBLEMS[entry.problem]} {ADVICE}" if helps else str(PROBLEMS[entry.problem])
    facts = [discord.utils.format_dt(entry.job.created_at, "R")]
    if entry.message is not None:
        where = _("in your direct messages") if entry.direct else _("in the channel")
        facts.append(f"[{where}]({entry.message.address})")
    if entry.refunded:
        facts.append(_("does not count towards your limit"))
    yield f"-# {' · '.join(facts)}"


def _title(entry: Entry) -> str:
    job, model = entry.job, entry.model
    name = None if model is None else _("a deleted model") if model.name == DELETED_NAME else bold(model.name)
    if job.kind is JobKind.TRAIN:
        return _("Training of {name}").format(name=name)
    count = sum(int(each.request["count"]) for each in entry.jobs)
    if name is None:
        what = ngettext("Picture", "{count} pictures", count)
    else:
        what = ngettext("Picture of {name}", "{count} pictures of {name}", count).format(name=name)
    return f"{what}: {quote(entry.words, PROMPT_CHARS)}" if entry.words else what


def _standing(entry: Entry, *, worker_alive: bool) -> str:
    job = entry.job
    left = sum(not each.state.ended for each in entry.jobs)
    if left and left < len(entry.jobs):
        return ngettext("Drawing: {count} picture is there.", "Drawing: {count} pictures are there.", entry.pictures)
    match job.state:
        case JobState.SUCCEEDED:
            return _success(entry)
        case JobState.FAILED:
            return failed(job)
        case JobState.CANCELLED:
            return _("Cancelled.")
        case _ if job.cancel_requested_at is not None:
            return _("Stopping…")
        case _ if job.state in WAITING:
            return in_line(entry.place, worker_alive=worker_alive)
        case _:
            return _progress(job)


def _success(entry: Entry) -> str:
    job = entry.job
    if job.kind is JobKind.TRAIN:
        return learned(job)
    if job.seconds:
        said = _("Drawn in {time}.") if entry.pictures else _("Drawn in {time}; the pictures are deleted.")
        return said.format(time=duration(job.seconds)) + too_late(job)
    return (_("Drawn.") if entry.pictures else _("Drawn; the pictures are deleted.")) + too_late(job)


def _progress(job: Job) -> str:
    doing = str(STAGES[job.stage or Stage.PREPARING]) if job.kind is JobKind.TRAIN else _("Drawing")
    if job.step and job.steps:
        return _("{doing}, step {step} of {steps}.").format(doing=doing, step=job.step, steps=job.steps)
    return _("{doing}.").format(doing=doing)


def _leaves(page: int, pages: int) -> list["PageButton"]:
    wanted = ((page - 1, _("Previous")), (page, _("Look again")), (page + 1, _("Next")))
    return [PageButton(number, label) for number, label in wanted if 0 <= number < pages]


class PageButton(ui.DynamicItem[ui.Button[Any]], template=r"jobs:(?P<page>[0-9]{1,6})"):
    """Show a page of the presser's own jobs."""

    def __init__(self, page: int, label: str) -> None:
        super().__init__(ui.Button(label=label, custom_id=f"jobs:{page}"))
        self.page = page

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(int(match["page"]), "")

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.job_pages import show_jobs  # here, because a press on one page makes the next page

        await acknowledge(interaction)
        await show_jobs(interaction, self.page)


class ShowButton(ui.DynamicItem[ui.Button[Any]], template=r"jobs:(?P<page>[0-9]{1,6}):show:(?P<job>[0-9a-f]{32})"):
    """Show what came of a job, to its owner alone."""

    def __init__(self, job_id: str, page: int) -> None:
        super().__init__(ui.Button(label=_("Show"), custom_id=f"jobs:{page}:show:{job_id}"))
        self.job_id, self.page = job_id, page

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["job"], int(match["page"]))

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.job_pages import show_job

        await show_job(interaction, self.job_id, self.page)
