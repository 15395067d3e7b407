"""The card of pictures: a place in the queue, then a gallery, and buttons that work for as long as it stands."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import discord
from discord import ui

from bot.job_text import in_line, too_late, why_failed
from bot.language import N_, _, listed, ngettext
from bot.looks import title_of
from bot.markup import cut, plain, quote
from bot.prompts import tidy
from bot.views.cancel_button import CancelButton
from bot.views.picture_buttons import PictureButton, Verb
from bot.views.rendered import Rendered
from bot.views.training_card import QUALITIES, asked_by
from bot.views.way_buttons import PictureMenu, WayButton, ways_from
from storage.contract import ImagineRequest, Quality, Tool
from storage.schema import Image, Job, JobState, Model, SetKind

ALT_CHARS = 1024
MAX_GALLERY = 10
PLAIN_BASE = N_("No model of yours is named here, so this is the plain base model.")


@dataclass(frozen=True, kw_only=True)
class Around:
    """What belongs to a card beside its first job."""

    jobs: Sequence[Job] = ()
    """All jobs of a set, the first included; none where the job stands alone."""
    models: Mapping[str, Model] = field(default_factory=dict)
    """By their ids."""
    seconds: Mapping[str, Model] = field(default_factory=dict)
    """Who stands beside a job's own subject, by the job's id."""
    words: str | None = None
    """The template that a set's prompts were drawn from, or a story's title."""
    kind: SetKind | None = None
    parent: str | None = None
    """The address of the card that it was asked for from."""


def render(
    job: Job,
    model: Model | None,
    images: Sequence[Image] = (),
    files: Sequence[discord.File] = (),
    *,
    place: int = 0,
    worker_alive: bool = True,
    around: Around = Around(),
) -> Rendered:
    """Show the pictures as they stand: `files` hold the `images` drawn so far; `place` counts from 1 while it waits."""
    jobs = around.jobs or [job]
    words = around.words or job.prompt_shown or "–"
    card = ui.Container[ui.LayoutView](ui.TextDisplay(f"### {_title(job, model, around)}\n{quote(words)}"))
    failed = all(each.state is JobState.FAILED for each in jobs)
    card.accent_colour = discord.Colour.red() if failed else discord.Colour.blurple()
    if files:
        card.add_item(_gallery(jobs, images, files))
    if said := standing(jobs, images if files else (), place, worker_alive=worker_alive):
        card.add_item(ui.TextDisplay(said))
    card.add_item(ui.TextDisplay("\n".join(f"-# {line}" for line in _small_print(jobs, images, around))))
    for row in _rows(job, model, jobs, images):
        card.add_item(row)
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return Rendered(view, list(files))


def _title(job: Job, model: Model | None, around: Around) -> str:
    pairs = [(model, around.seconds.get(job.id))]
    if around.jobs:
        pairs = [(around.models.get(each.model_id or ""), around.seconds.get(each.id)) for each in around.jobs]
    names = list(dict.fromkeys(each.name for pair in pairs for each in pair if each is not None))
    if not names:
        return _("The plain base model")
    return cut(listed([plain(name) for name in names]), 200)


def _gallery(
    jobs: Sequence[Job], images: Sequence[Image], files: Sequence[discord.File]
) -> ui.MediaGallery[ui.LayoutView]:
    by_id = {job.id: job for job in jobs}
    gallery = ui.MediaGallery[ui.LayoutView]()
    for number, (image, file) in enumerate(zip(images, files, strict=False), start=1):
        job = by_id.get(image.job_id, jobs[0])
        said = _("AI-made picture {number} of {total}: {prompt}") if len(files) > 1 else _("AI-made picture: {prompt}")
        alt = said.format(number=number, total=len(files), prompt=tidy(job.prompt_shown or "–"))
        gallery.add_item(media=file, description=cut(alt, ALT_CHARS), spoiler=job.spoiler)
    return gallery


def standing(jobs: Sequence[Job], images: Sequence[Image], place: int, *, worker_alive: bool) -> str:
    """Say how it stands; nothing where the gallery says it all."""
    if len(jobs) == 1:
        return "" if images else _standing_of_one(jobs[0], place, worker_alive=worker_alive)
    wanted = sum(int(job.request["count"]) for job in jobs)
    going = [job for job in jobs if not job.state.ended]
    if going and any(job.cancel_requested_at is not None for job in going):
        return _("Stopping…")
    if going and (images or any(job.state is JobState.RUNNING for job in jobs)):
        said = ngettext(
            "Drawing: {there} of {count} picture is there.", "Drawing: {there} of {count} pictures are there.", wanted
        )
        return said.format(there=len(images))
    if going:
        return in_line(place, worker_alive=worker_alive)
    return _ending_of_set(jobs, images, wanted)


def _ending_of_set(jobs: Sequence[Job], images: Sequence[Image], wanted: int) -> str:
    failed = [job for job in jobs if job.state is JobState.FAILED]
    if len(images) == wanted:
        return ""
    if failed:
        missing = sum(int(job.request["count"]) for job in failed)
        said = ngettext(
            "{missing} of {count} picture did not work out. {why}",
            "{missing} of {count} pictures did not work out. {why}",
            wanted,
        )
        return said.format(missing=missing, why=why_failed(failed[0].failure))
    if any(job.state is JobState.CANCELLED for job in jobs):
        return _("Cancelled.") if not images else _("Cancelled; these were done by then.")
    return _("These pictures are deleted.")


def _standing_of_one(job: Job, place: int, *, worker_alive: bool) -> str:
    match job.state:
        case JobState.FAILED:
            return why_failed(job.failure)
        case JobState.CANCELLED:
            return _("Cancelled.")
        case JobState.SUCCEEDED:
            return _("These pictures are deleted.")
    if job.cancel_requested_at is not None:
        return _("Stopping…")
    if job.state is JobState.RUNNING:
        if not job.step or not job.steps:
            return _("Drawing.")
        return _("Drawing: step {step} of {steps}.").format(step=job.step, steps=job.steps)
    return in_line(place, worker_alive=worker_alive)


def _rows(job: Job, model: Model | None, jobs: Sequence[Job], images: Sequence[Image]) -> Iterator[ui.ActionRow[Any]]:
    if any(not each.state.ended for each in jobs):
        if all(each.cancel_requested_at is None for each in jobs):
            yield ui.ActionRow(CancelButton(job.id))
        return
    verbs = [Verb.AGAIN]
    if images:
        verbs.append(Verb.SAME)
    if job.prompt_shown is not None:
        verbs.append(Verb.EDIT)
    yield ui.ActionRow(*(PictureButton(job.id, verb) for verb in (*verbs, Verb.DETAILS, Verb.DELETE)))
    if images:
        if len(images) > 1:
            yield ui.ActionRow(PictureMenu(job.id, min(len(images), MAX_GALLERY)))
        else:
            yield ui.ActionRow(*(WayButton(job.id, way) for way in ways_from(job, images[0])))
        more = [Verb.BEST] if any(each.request.get("quality") == Quality.FAST for each in jobs) else []
        more += [Verb.COVER] if model is not None and model.deleted_at is None else []
        yield ui.ActionRow(*(PictureButton(job.id, verb) for verb in (*more, Verb.REPORT)))


def _small_print(jobs: Sequence[Job], images: Sequence[Image], around: Around) -> Iterator[str]:
    first = jobs[0]
    if all(job.model_id is None for job in jobs):
        yield str(PLAIN_BASE)
    if len(jobs) == 1 and first.state is JobState.SUCCEEDED and (note := too_late(first)):
        yield note.strip()
    if len(jobs) == 1 and around.words is not None and first.prompt_shown:
        yield _("drawn by lot: {prompt}").format(prompt=quote(first.prompt_shown, 200))
    facts = [asked_by(first)]
    if around.parent is not None:
        facts.append(_("[from this card]({address})").format(address=around.parent))
    if images:
        seeds = [str(image.seed) for image in images]
        told = ngettext("seed {seeds}", "seeds {seeds}", len(seeds)).format(seeds=", ".join(seeds))
        facts = [_("AI-made"), told, *_settings(first), *facts]
    yield " · ".join(facts)


def _settings(job: Job) -> Iterator[str]:
    """Name what the person set by hand."""
    request = ImagineRequest.model_validate(job.request)
    if job.look is not None:
        yield _("look {name}").format(name=plain(title_of(job.look)))
    if request.quality is not None:
        yield str(QUALITIES[request.quality])
    if request.steps is not None:
        yield ngettext("{count} step", "{count} steps", request.steps)
    if request.guidance_scale is not None:
        yield _("guidance {scale}").format(scale=f"{request.guidance_scale:g}")
    around_it = request.source is not None and request.source.tool is Tool.OUTPAINT  # its own subject is kept out
    if request.negative_prompt and not around_it:
        yield _("without {words}").format(words=quote(request.negative_prompt, 100))
