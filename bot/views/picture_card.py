"""The card of an /imagine job: a place in the queue, then pictures, and buttons that work for as long as it stands."""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot import text
from bot.access import check_may_delete
from bot.prompts import tidy
from bot.replies import pressed
from bot.views.cancel_button import CancelButton
from bot.views.rendered import Rendered
from storage.contract import ImagineRequest
from storage.deliveries import touch_card_elsewhere
from storage.errors import NotYourJob
from storage.jobs import delete_pictures, find_job
from storage.schema import Image, Job, JobState, Model

if TYPE_CHECKING:
    from bot.app import Dreambot

ALT_CHARS = 1024
PLAIN_BASE = "No model of yours is named here, so this is the plain base model."


def render(
    job: Job,
    model: Model | None,
    images: Sequence[Image] = (),
    files: Sequence[discord.File] = (),
    *,
    place: int = 0,
    worker_alive: bool = True,
) -> Rendered:
    """Show the job as it stands: `files` hold the `images` it drew; `place` counts from 1 while it waits."""
    title = "The plain base model" if model is None else text.plain(model.name)
    card = ui.Container[ui.LayoutView](ui.TextDisplay(f"### {title}\n{text.quote(job.prompt_shown or '–')}"))
    card.accent_colour = discord.Colour.red() if job.state is JobState.FAILED else discord.Colour.blurple()
    if files:
        card.add_item(_gallery(job, files))
    else:
        card.add_item(ui.TextDisplay(_standing(job, place, worker_alive=worker_alive)))
    card.add_item(ui.TextDisplay("\n".join(f"-# {line}" for line in _small_print(job, images))))
    if job.state.ended:
        card.add_item(ui.ActionRow(AgainButton(job.id), DeleteButton(job.id)))
    elif job.cancel_requested_at is None:
        card.add_item(ui.ActionRow(CancelButton(job.id)))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return Rendered(view, list(files))


def _gallery(job: Job, files: Sequence[discord.File]) -> ui.MediaGallery[ui.LayoutView]:
    gallery = ui.MediaGallery[ui.LayoutView]()
    for number, file in enumerate(files, start=1):
        which = f" {number} of {len(files)}" if len(files) > 1 else ""
        alt = text.cut(f"AI-made picture{which}: {tidy(job.prompt_shown or '–')}", ALT_CHARS)
        gallery.add_item(media=file, description=alt, spoiler=job.spoiler)
    return gallery


def _standing(job: Job, place: int, *, worker_alive: bool) -> str:
    match job.state:
        case JobState.FAILED:
            return text.why_failed(job.failure)
        case JobState.CANCELLED:
            return "Cancelled."
        case JobState.SUCCEEDED:
            return "These pictures are deleted."
        case _ if job.cancel_requested_at is not None:
            return "Stopping…"
        case JobState.RUNNING:
            return f"Drawing: step {job.step} of {job.steps}." if job.step and job.steps else "Drawing."
        case _:
            return text.in_line(place, worker_alive=worker_alive)


def _small_print(job: Job, images: Sequence[Image]) -> Iterator[str]:
    if job.model_id is None:
        yield PLAIN_BASE
    if job.state is JobState.SUCCEEDED and (note := text.too_late(job)):
        yield note.strip()
    facts = [f"asked by <@{job.owner_id}>"]
    if images:
        seeds = [str(image.seed) for image in images]
        facts = ["AI-made", f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(seeds)}", *_settings(job), *facts]
    yield " · ".join(facts)


def _settings(job: Job) -> Iterator[str]:
    """Name what the person set by hand."""
    request = ImagineRequest.model_validate(job.request)
    if request.steps is not None:
        yield f"{request.steps} steps"
    if request.guidance_scale is not None:
        yield f"guidance {request.guidance_scale:g}"
    if request.negative_prompt:
        yield f"without {text.quote(request.negative_prompt, 100)}"


class AgainButton(ui.DynamicItem[ui.Button[Any]], template=r"picture:(?P<job>[0-9a-f]{32}):again"):
    """Draw the same once more from a new seed, for whoever presses it and may use the model."""

    def __init__(self, job_id: str) -> None:
        super().__init__(ui.Button(label="Again", emoji="🔁", custom_id=f"picture:{job_id}:again"))
        self.job_id = job_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["job"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.imagining import draw_again  # here, because a press on one card makes the next card

        await draw_again(interaction, self.job_id)


class DeleteButton(ui.DynamicItem[ui.Button[Any]], template=r"picture:(?P<job>[0-9a-f]{32}):delete"):
    """Delete the pictures, and the message with them; from anywhere else the card in the channel loses them too."""

    def __init__(self, job_id: str) -> None:
        super().__init__(ui.Button(label="Delete", emoji="🗑️", custom_id=f"picture:{job_id}:delete"))
        self.job_id = job_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["job"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        services = interaction.client.services
        async with services.database.write() as session:
            job = await find_job(session, self.job_id)
            if job is None:
                raise NotYourJob
            check_may_delete(job, interaction)
            keys = await delete_pictures(session, job.id)
            if interaction.message is not None:
                await touch_card_elsewhere(session, job, interaction.message.id, services.clock())
        services.wake_delivery()
        await interaction.response.defer()
        for key in keys:
            await services.blobs.delete(key)
        await interaction.delete_original_response()
