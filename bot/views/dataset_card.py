"""A data set on its card: how many pictures there are, some of them, and buttons that send all of it as a zip."""

import io
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.acknowledging import acknowledge
from bot.datasets import is_weak
from bot.language import _, listed, ngettext
from bot.markup import cut, plain
from bot.prompts import tidy
from bot.quota_text import AMOUNTS
from bot.replies import pressed
from bot.views.cancel_button import CancelButton
from bot.views.download import upload_limit
from bot.views.picture_buttons import PictureButton, Verb
from bot.views.picture_card import standing
from bot.views.rendered import Rendered
from bot.views.training_card import asked_by, bar
from storage.contract import JobKind
from storage.schema import Image, Job

if TYPE_CHECKING:
    from bot.app import Dreambot
    from bot.views.picture_card import Around

ALT_CHARS = 1024
SHOWN = 9
"""Of up to a hundred pictures, so many stand on the card, from its first to its last."""


def shown_of(images: Sequence[Image]) -> Sequence[Image]:
    """Return some of the pictures, spread evenly over all."""
    count = min(SHOWN, len(images))
    return [images[place * len(images) // count] for place in range(count)]


def render(
    around: "Around",
    images: Sequence[Image],
    files: Sequence[discord.File],
    *,
    place: int = 0,
    worker_alive: bool = True,
) -> Rendered:
    """Show the set as it stands: `files` hold what `shown_of` returns of its `images`."""
    lead, going = around.jobs[0], any(not job.state.ended for job in around.jobs)
    names = [plain(model.name) for model in around.models.values()]
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.teal())
    title = _("### A data set of {names}").format(names=listed(names)) if names else _("### A data set")
    card.add_item(ui.TextDisplay(title))
    if files:
        card.add_item(_gallery(around.jobs, shown_of(images), files))
    if said := standing(around.jobs, images, place, worker_alive=worker_alive):
        card.add_item(ui.TextDisplay(f"{bar(len(images), _wanted(around))} {said}" if going and images else said))
    card.add_item(ui.TextDisplay("\n".join(f"-# {line}" for line in _small_print(around, images, names))))
    for row in _rows(lead, around.jobs, images, going=going):
        card.add_item(row)
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return Rendered(view, list(files))


def _wanted(around: "Around") -> int:
    return sum(int(job.request["count"]) for job in around.jobs)


def _gallery(
    jobs: Sequence[Job], images: Sequence[Image], files: Sequence[discord.File]
) -> ui.MediaGallery[ui.LayoutView]:
    by_id = {job.id: job for job in jobs}
    gallery = ui.MediaGallery[ui.LayoutView]()
    for image, file in zip(images, files, strict=False):
        caption = tidy(by_id[image.job_id].prompt_shown or "") or "–"
        gallery.add_item(media=file, description=cut(_("AI-made picture: {prompt}").format(prompt=caption), ALT_CHARS))
    return gallery


def _small_print(around: "Around", images: Sequence[Image], names: Sequence[str]) -> Iterator[str]:
    if weak := sum(is_weak(image.score) for image in images):
        yield ngettext(
            "{count} of these looks too little like {names} and stays out of the zip.",
            "{count} of these look too little like {names} and stay out of the zip.",
            weak,
        ).format(names=listed(names) or _("the subject"))
    facts = [_("AI-made"), *([AMOUNTS[JobKind.IMAGINE].format(len(images))] if len(images) > 1 else [])]
    yield " · ".join([*(facts if images else []), asked_by(around.jobs[0])])


def _rows(lead: Job, jobs: Sequence[Job], images: Sequence[Image], *, going: bool) -> Iterator[ui.ActionRow[Any]]:
    if going:
        if all(job.cancel_requested_at is None for job in jobs):
            yield ui.ActionRow(CancelButton(lead.id))
        return
    if images:
        yield ui.ActionRow(ZipButton(lead.id, boxes=False), ZipButton(lead.id, boxes=True))
    verbs = (Verb.REPORT, Verb.DELETE) if images else (Verb.DELETE,)
    yield ui.ActionRow(*(PictureButton(lead.id, verb) for verb in verbs))


class ZipButton(ui.DynamicItem[ui.Button[Any]], template=r"dataset:(?P<job>[0-9a-f]{32}):(?P<what>zip|boxes)"):
    """Send the data set to whoever asked for it, with or without boxes of the subject."""

    def __init__(self, job_id: str, *, boxes: bool) -> None:
        label, what = (_("With boxes"), "boxes") if boxes else (_("As a zip"), "zip")
        style = discord.ButtonStyle.secondary if boxes else discord.ButtonStyle.primary
        super().__init__(ui.Button(label=label, emoji="📦", style=style, custom_id=f"dataset:{job_id}:{what}"))
        self.job_id, self.boxes = job_id, boxes

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["job"], boxes=match["what"] == "boxes")

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.dataset_zip import pack  # here, because packing needs what cards are made of

        await acknowledge(interaction, ephemeral=True, thinking=True)
        limit = upload_limit(interaction)
        zipped = await pack(
            interaction.client.services, self.job_id, interaction.user.id, limit=limit, boxes=self.boxes
        )
        file = discord.File(io.BytesIO(zipped.data), zipped.file_name)
        await interaction.edit_original_response(content=zipped.about, attachments=[file])
