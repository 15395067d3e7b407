"""A finished story on its card, a page at a time, and the buttons that leaf in it and bind it as a book."""

import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.acknowledging import acknowledge
from bot.job_text import why_failed
from bot.language import N_, _, ngettext
from bot.markup import cut, plain
from bot.prompts import tidy
from bot.replies import pressed
from bot.views.picture_buttons import PictureButton, Verb
from bot.views.rendered import Rendered
from bot.views.training_card import asked_by
from storage.schema import Image, Job, JobState

if TYPE_CHECKING:
    from bot.app import Dreambot
    from bot.views.picture_card import Around

ALT_CHARS = 1024
SCENE_CHARS = 400
UNTITLED = N_("A story")


def render(around: "Around", images: Sequence[Image], page: int, file: discord.File | None) -> Rendered:
    """Show one of the pages, counted from 0; `file` holds its picture."""
    by_id = {job.id: job for job in around.jobs}
    lead, job = around.jobs[0], by_id[images[page].job_id]
    scene = _scene(job)
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.gold())
    card.add_item(ui.TextDisplay(f"### {plain(around.words or '') or UNTITLED}"))
    if file is not None:
        facts = {"number": page + 1, "total": len(images), "prompt": scene}
        alt = cut(_("AI-made picture {number} of {total}: {prompt}").format(**facts), ALT_CHARS)
        card.add_item(ui.MediaGallery(discord.MediaGalleryItem(file, description=alt, spoiler=lead.spoiler)))
    card.add_item(ui.TextDisplay(plain(scene, SCENE_CHARS)))
    card.add_item(ui.TextDisplay("\n".join(f"-# {line}" for line in _small_print(around, images, page))))
    last = len(images) - 1
    wanted = ((page - 1, _("Previous")), (page + 1, _("Next")))
    leaves = [StoryButton(lead.id, number, label) for number, label in wanted if 0 <= number <= last]
    card.add_item(ui.ActionRow(*leaves, BookButton(lead.id)))
    verbs = (Verb.AGAIN, Verb.DETAILS, Verb.REPORT, Verb.DELETE)
    card.add_item(ui.ActionRow(*(PictureButton(lead.id, verb) for verb in verbs)))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return Rendered(view, [] if file is None else [file])


def _small_print(around: "Around", images: Sequence[Image], page: int) -> Iterator[str]:
    failed = [job for job in around.jobs if job.state is JobState.FAILED]
    if failed:
        yield ngettext(
            "{failed} of {count} scene did not work out. {why}",
            "{failed} of {count} scenes did not work out. {why}",
            len(around.jobs),
        ).format(failed=len(failed), why=why_failed(failed[0].failure))
    pages = _("Page {page} of {pages}").format(page=page + 1, pages=len(images))
    facts = [pages, _("AI-made"), asked_by(around.jobs[0])]
    if around.parent is not None:
        facts.append(_("[from this card]({address})").format(address=around.parent))
    yield " · ".join(facts)


class StoryButton(ui.DynamicItem[ui.Button[Any]], template=r"story:(?P<job>[0-9a-f]{32}):(?P<page>[0-9]{1,2})"):
    """Show a page, to everybody who sees the card."""

    def __init__(self, job_id: str, page: int, label: str) -> None:
        super().__init__(ui.Button(label=label, custom_id=f"story:{job_id}:{page}"))
        self.job_id, self.page = job_id, page

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["job"], int(match["page"]), "")

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.rendering import render_card  # here, because cards hold this button

        await acknowledge(interaction)
        card = await render_card(interaction.client.services, self.job_id, page=self.page)
        await interaction.edit_original_response(view=card.view, attachments=card.files)


class BookButton(ui.DynamicItem[ui.Button[Any]], template=r"story:(?P<job>[0-9a-f]{32}):book"):
    """Send the whole story as a PDF, to the presser alone."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            ui.Button(
                label=_("As a book"), emoji="📖", style=discord.ButtonStyle.primary, custom_id=f"story:{job_id}:book"
            )
        )
        self.job_id = job_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["job"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.story_book import bind

        await acknowledge(interaction, ephemeral=True, thinking=True)
        name, book = await bind(interaction.client.services, self.job_id)
        await interaction.followup.send(file=discord.File(io.BytesIO(book), name), ephemeral=True)


def pages_of(jobs: Sequence[Job], images: Sequence[Image]) -> list[tuple[str, str]]:
    """Return each page's scene and the key of its picture."""
    by_id = {job.id: job for job in jobs}
    return [(_scene(by_id[image.job_id]), image.key) for image in images]


def _scene(job: Job) -> str:
    return tidy(job.prompt_shown or "") or "–"
