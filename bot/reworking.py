"""Go on from a picture that stands on a card: vary it, enlarge it, draw a part anew, or more of what is around it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import discord
from discord import Attachment

from bot.brought import take_in
from bot.drawing_again import like, models_for
from bot.looks import Look, looks_for
from bot.masks import MaskProblem, MaskUnclear, Region, painted_mask, region_mask
from bot.named_models import nameable_models, read_for
from bot.promising import open_reply, promise, promise_with
from bot.prompts import find_names, fold, read_negative, read_prompt, tidy, without_names
from bot.replies import withdraw
from bot.runs import any_seed, drawn_words
from bot.services import Services
from storage.bases import Shape, around, askable
from storage.contract import OUTPAINTED, STRONG, SUBTLE, UPSCALED, ImagineRequest, Source, Tool, mask_key
from storage.errors import BlobMissing, NotYourJob, PicturesGone, PromptGone, UserError
from storage.imaginings import NewImagining, NewSubject
from storage.jobs import find_job
from storage.schema import Image, Job, Model
from storage.sets import members, pictures_of_set

if TYPE_CHECKING:
    from bot.app import Dreambot

    Interaction = discord.Interaction[Dreambot]

PLACE_OF_NOTHING = "background"
"""What is drawn around a picture whose prompt says nothing but the subject's name."""
NOTICED = 1.05
"""How much larger a picture must become for anybody to see more of it."""


class Work(StrEnum):
    """What can be made of a picture that needs no more words."""

    SUBTLE = "subtle"
    STRONG = "strong"
    UPSCALE = "upscale"


WORKS = {
    Work.SUBTLE: (Tool.VARY, SUBTLE),
    Work.STRONG: (Tool.VARY, STRONG),
    Work.UPSCALE: (Tool.UPSCALE, UPSCALED),
}


@dataclass(frozen=True)
class Begun:
    """A picture to go on from, and what it was drawn from."""

    image: Image
    job: Job
    look: Look | None
    models: Sequence[Model]
    """Those that it shows."""
    new: NewImagining
    """What draws another one like it, in the presser's name."""

    @property
    def words(self) -> str:
        """Return what its asker typed."""
        return self.job.prompt_shown or ""

    @property
    def place(self) -> str:
        """Return what they typed beside their subjects' names."""
        return without_names(tidy(self.words), self.models) or PLACE_OF_NOTHING

    @property
    def nouns(self) -> str:
        """Return the classes of what it shows."""
        return ", ".join(model.class_noun for model in self.models)


async def begin(interaction: "Interaction", job_id: str, position: int) -> Begun:
    """Find a picture of a card, counted from 0.

    Raises `NotYourJob`, `PicturesGone`, `PromptGone`, `ModelNotFound`, `ModelNotReady`.
    """
    services = interaction.client.services
    async with services.database.read() as session:
        if await find_job(session, job_id) is None:
            raise NotYourJob
        images = await pictures_of_set(session, await members(session, job_id))
        if position >= len(images):
            raise PicturesGone
        job = await session.get_one(Job, images[position].job_id)
        if job.prompt_shown is None:
            raise PromptGone
        request = ImagineRequest.model_validate(job.request)
        models = await models_for(interaction, session, [request])
        looks = await looks_for(session, services.base, job.guild_id)
    look = next((look for look in looks if look.name == job.look), None)
    new = replace(like(interaction, job, request, models, seed=any_seed()), source=None, count=1, parent=job_id)
    begun = Begun(images[position], job, look, list(models.values()), new)
    if request.source is not None and request.source.tool is Tool.OUTPAINT:  # it was drawn from the place alone
        whole = await _reworded(interaction, begun, begun.words)
        negative = new.negative_prompt.removesuffix(begun.nouns).removesuffix(", ")
        return replace(begun, new=replace(whole, negative_prompt=negative))
    return begun


async def work_on(interaction: "Interaction", job_id: str, position: int, work: Work) -> None:
    """Ask for another picture that goes on from one of a card, counted from 0.

    Raises what `begin` raises, `TooManyJobs` and `QuotaUsedUp`.
    """
    begun = await begin(interaction, job_id, position)
    tool, strength = WORKS[work]
    source = Source(tool=tool, key=begun.image.key, strength=strength)
    seed = begun.image.seed if tool is Tool.UPSCALE else begun.new.seed
    await promise(interaction, [replace(begun.new, source=source, seed=seed)], None)


async def draw_part(
    interaction: "Interaction", begun: Begun, words: str, region: Region | None, painted: Attachment | None
) -> None:
    """Ask for a part of a picture anew: what was painted, else the region. The rest stays, pixel for pixel.

    Raises `MaskUnclear`, `PictureRefused`, and what `imagining.imagine` raises for the words.
    """
    services = interaction.client.services
    new = begun.new if tidy(words) == begun.words else await _reworded(interaction, begun, words)
    await open_reply(interaction, private=new.private)
    try:
        mask = await _mask(services, begun, region, painted)
    except UserError:
        await withdraw(interaction)
        raise
    key, (width, height) = mask_key(new.job), askable(begun.image.width, begun.image.height)
    source = Source(tool=Tool.INPAINT, key=begun.image.key, mask=key)
    await promise_with(interaction, [replace(new, source=source, width=width, height=height)], None, {key: mask})


async def draw_around(interaction: "Interaction", begun: Begun, place: str, shape: Shape) -> None:
    """Ask for more of what is around a picture, until it has a shape.

    The place is drawn without the subject, and with its class kept out: else another one looks in from the side.
    """
    place = tidy(place) or begun.place
    named = any(find_names(place, {fold(model.name) for model in begun.models}))
    prompt = read_prompt(place, begun.models, begun.new.owner_id).words
    kept_out = [] if named else [begun.nouns]
    width, height = around(shape, begun.image.width, begun.image.height)
    new = replace(
        begun.new,
        prompt=prompt,
        subjects=tuple(NewSubject(subject.model, prompt) for subject in begun.new.subjects),
        prompt_shown=begun.words if place == begun.place else f"{begun.words}, {place}",
        negative_prompt=read_negative(", ".join(filter(None, (begun.new.negative_prompt, *kept_out)))),
        source=Source(tool=Tool.OUTPAINT, key=begun.image.key, strength=OUTPAINTED),
        width=width,
        height=height,
    )
    await promise(interaction, [new], None)


def shapes_around(image: Image) -> list[Shape]:
    """Return the shapes that are more than a picture has already."""
    own = image.width * image.height
    sizes = {shape: around(shape, image.width, image.height) for shape in Shape}
    return [shape for shape, (width, height) in sizes.items() if width * height > own * NOTICED]


async def _reworded(interaction: "Interaction", begun: Begun, words: str) -> NewImagining:
    """Put other words in the place of those that a picture was drawn from.

    It goes on showing its own models, whatever is named; only a picture of none can get one, or two.
    """
    new = begun.new
    run = drawn_words(words, begun.look, new.seed, 1).runs[0]
    models = begun.models
    if not models:
        async with interaction.client.services.database.read() as session:
            models = await nameable_models(session, [run.words], interaction)
    unnamed = new.model is not None and not any(find_names(tidy(begun.words), {fold(new.model.name)}))
    reading = read_for(run.words, new.model.id if new.model is not None and unnamed else None, models, new.owner_id)
    new = replace(new, prompt=reading.words, prompt_shown=run.shown)
    if begun.models and len(reading.models) < len(begun.models):
        return replace(new, subjects=tuple(NewSubject(subject.model, reading.words) for subject in new.subjects))
    subjects = tuple(NewSubject(named.model, named.words) for named in reading.subjects)
    base = reading.models[0].base if reading.models else new.base
    return replace(new, model=reading.model, subjects=subjects, base=base)


async def _mask(services: Services, begun: Begun, region: Region | None, painted: Attachment | None) -> bytes:
    """Raises `MaskUnclear`, `PictureRefused`, `PicturesGone`."""
    try:
        picture = await services.blobs.get(begun.image.key)
    except BlobMissing:
        raise PicturesGone from None
    if painted is not None:
        paint = await take_in(services, painted)
        return await asyncio.to_thread(painted_mask, paint, picture)
    if region is None:
        raise MaskUnclear(MaskProblem.NOWHERE)
    kind = begun.models[0].subject_kind if begun.models else None
    return await asyncio.to_thread(region_mask, region, picture, kind)
