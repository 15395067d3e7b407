"""From a prompt to a promise: read what a person asks for, write it down in one transaction, show the waiting card."""

import io
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import discord
from PIL import Image
from sqlalchemy.ext.asyncio import AsyncSession

from bot.access import seen_model
from bot.acknowledging import acknowledge
from bot.brought import NothingToChange, take_in
from bot.cards import answer, post_card
from bot.channel_rules import check_channel
from bot.guest import is_guest
from bot.language import locale_of_card
from bot.limits import per_day, roles_of
from bot.looks import NO_LOOK, Look, find_look, looks_for
from bot.prompts import Reading, fold, pick, read_negative, read_prompt, tidy
from bot.replies import withdraw
from bot.room import check_room
from bot.runs import drawn_words, story_words
from storage.bases import Shape, picture_size, shape_near, shapes
from storage.contract import (
    MAX_SEED,
    Adapter,
    ImagineRequest,
    JobKind,
    Quality,
    Source,
    Tool,
    reference_key,
)
from storage.errors import ModelNotFound, ModelNotReady, NotYourJob, PromptGone, UserError
from storage.faults import reach
from storage.imaginings import NewImagining, NewSubject, accept_imagining
from storage.jobs import find_job
from storage.models import check_up, models_named
from storage.people import Defaults, defaults_of
from storage.schema import Job, Model, ModelStatus, SetKind
from storage.sets import accept_set, members, set_of

if TYPE_CHECKING:
    from bot.app import Dreambot

MODEL_ID = re.compile(r"[0-9a-f]{32}")
USUAL_CHANGE = 0.6
"""Of a picture that is sent to draw from: its composition stays, and the subject takes the place of what it shows."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person asks for, in their own words; `None` leaves it to their defaults, or to me."""

    prompt: str
    model: str | None = None
    """A model's id or name; `None` leaves it to the prompt."""
    count: int | None = None
    seed: int | None = None
    quality: Quality | None = None
    """Fast or best."""
    steps: int | None = None
    guidance_scale: float | None = None
    negative_prompt: str | None = None
    shape: Shape | None = None
    look: str | None = None
    """A look's id or name, or `NO_LOOK`."""
    reference: discord.Attachment | None = None
    """A picture to draw from."""
    change: float | None = None
    """How much of it may change, up to 1."""
    private: bool | None = None
    spoiler: bool = False
    lossless: bool = False
    """As PNG, whatever the size."""
    parent: str | None = None
    """The job whose card this is asked for from."""
    scenes: Sequence[str] = ()
    """Of a story or a data set whose title is the prompt: each is a picture of its own."""
    kind: SetKind = SetKind.STORYBOOK
    """What the scenes make."""
    asked_by: int | None = None
    """The interaction that asked, where a later one agrees to it: however often, it is the same request."""


async def imagine(interaction: "discord.Interaction[Dreambot]", wish: Wish) -> None:
    """Answer a wish with a waiting card.

    Raises `EmptyPrompt`, `PromptTooLong`, `InvalidTemplate`, `LookNotFound`, `SeveralSubjects`, `DifferentBases`,
    `AmbiguousName`, `ModelNotFound`, `ModelNotReady`, `NothingToChange`, `PictureRefused`, `WrongChannel`,
    `TooManyJobs` and `QuotaUsedUp`.
    """
    services = interaction.client.services
    async with services.database.read() as session:
        defaults = await defaults_of(session, interaction.user.id)
        look = await _look(session, services.base, wish, defaults, interaction.guild_id)
        seed = any_seed() if wish.seed is None else wish.seed
        count = wish.count or (look.count if look is not None else None) or defaults.count
        scenes, prompt = wish.scenes, wish.prompt
        pictures = story_words(scenes, look, wish.kind) if scenes else drawn_words(prompt, look, seed, count)
        models = await _models(session, wish.model, [run.words for run in pictures.runs], interaction)
    if wish.change is not None and wish.reference is None:
        raise NothingToChange
    private = is_guest(interaction) or (defaults.private if wish.private is None else wish.private)
    negative = defaults.negative_prompt if wish.negative_prompt is None else wish.negative_prompt
    shape = wish.shape or (defaults.shape if defaults.shape in shapes(services.base) else Shape.SQUARE)
    asker = _asker(interaction, wish.asked_by, private=private)
    asked = []
    for run in pictures.runs:
        reading = read_for(run.words, wish.model, models, interaction.user.id)
        base = reading.models[0].base if reading.models else services.base
        width, height = picture_size(base, shape)
        asked.append(
            NewImagining(
                **asker,
                job=uuid4().hex,
                model=reading.model,
                subjects=tuple(NewSubject(named.model, named.words) for named in reading.subjects),
                prompt=reading.words,
                prompt_shown=run.shown,
                negative_prompt=read_negative(", ".join(filter(None, (negative, look.negative if look else "")))),
                count=run.number,
                seed=(seed + run.first) % (MAX_SEED + 1),
                quality=wish.quality,
                steps=wish.steps,
                guidance_scale=wish.guidance_scale,
                width=width,
                height=height,
                base=base,
                private=private,
                spoiler=wish.spoiler,
                webhook_token=interaction.token if private else None,
                parent=wish.parent,
                look=None if look is None else look.name,
                lossless=wish.lossless,
                scored=pictures.kind in {SetKind.STORYBOOK, SetKind.DATASET},
            )
        )
    set_of_them = (pictures.kind or SetKind.TEMPLATE, tidy(wish.prompt))
    together = set_of_them if pictures.kind is not None or len(asked) > 1 else None
    if wish.reference is None:
        await promise(interaction, asked, together)
    else:
        await _draw_from(interaction, wish.reference, wish, asked, together)


async def _draw_from(
    interaction: "discord.Interaction[Dreambot]",
    reference: discord.Attachment,
    wish: Wish,
    asked: Sequence[NewImagining],
    together: tuple[SetKind, str] | None,
) -> None:
    """Promise pictures that begin with one that was sent; without another wish they are of the shape nearest to its.

    Each job keeps a copy, for each is deleted by itself. Raises `PictureRefused` and what `promise` raises.
    """
    await open_reply(interaction, private=asked[0].private)
    try:
        picture = await take_in(interaction.client.services, reference)
    except UserError:
        await withdraw(interaction)
        raise
    width, height = Image.open(io.BytesIO(picture)).size
    change = USUAL_CHANGE if wish.change is None else wish.change
    files, sized = {}, []
    for new in asked:
        key, shape = reference_key(new.job), wish.shape or shape_near(new.base, width, height)
        files[key] = picture
        source = Source(tool=Tool.VARY, key=key, strength=change)
        across, down = picture_size(new.base, shape)
        sized.append(replace(new, source=source, width=across, height=down))
    await promise_with(interaction, sized, together, files)


async def draw_again(interaction: "discord.Interaction[Dreambot]", job_id: str, *, same_seed: bool = False) -> None:
    """Ask for what a card shows once more, in the presser's name: from a new seed, or from the same.

    Raises `NotYourJob`, `PromptGone`, `ModelNotFound`, `ModelNotReady`, `TooManyJobs` and `QuotaUsedUp`.
    """
    async with interaction.client.services.database.read() as session:
        if await find_job(session, job_id) is None:
            raise NotYourJob
        together, jobs = await set_of(session, job_id), await members(session, job_id)
        if jobs[0].prompt_shown is None:
            raise PromptGone
        requests = [ImagineRequest.model_validate(job.request) for job in jobs]
        models = await models_for(interaction, session, requests)
    shift = 0 if same_seed else any_seed()
    asked = [
        like(interaction, job, request, models, seed=(request.seed + shift) % (MAX_SEED + 1))
        for job, request in zip(jobs, requests, strict=True)
    ]
    kept = None if together is None or together.words is None else (together.kind, together.words)
    await promise(interaction, asked, kept)


async def models_for(
    interaction: "discord.Interaction[Dreambot]", session: AsyncSession, requests: Sequence[ImagineRequest]
) -> dict[str, Model]:
    """Return the models that the requests name, by their ids, if the presser may draw with them.

    Raises `ModelNotFound`, `ModelNotReady`.
    """
    return {
        adapter.model: _ready(await seen_model(session, adapter.model, interaction))
        for request in requests
        for adapter in adapters_of(request)
    }


def like(
    interaction: "discord.Interaction[Dreambot]",
    job: Job,
    request: ImagineRequest,
    models: Mapping[str, Model],
    *,
    seed: int,
) -> NewImagining:
    """Return what a job asked for, in the presser's name."""
    private = is_guest(interaction) or job.private
    return NewImagining(
        **_asker(interaction, private=private),
        job=uuid4().hex,
        model=None if request.adapter is None else models[request.adapter.model],
        subjects=tuple(NewSubject(models[one.adapter.model], one.prompt) for one in request.subjects),
        prompt=request.prompt,
        prompt_shown=job.prompt_shown or "",
        negative_prompt=request.negative_prompt,
        count=request.count,
        seed=seed,
        quality=request.quality,
        steps=request.steps,
        guidance_scale=request.guidance_scale,
        width=request.width,
        height=request.height,
        base=request.base,
        private=private,
        spoiler=job.spoiler,
        webhook_token=interaction.token if private else None,
        parent=job.id,
        look=job.look,
        lossless=request.lossless,
        scored=request.scored,
        source=request.source,
    )


def adapters_of(request: ImagineRequest) -> list[Adapter]:
    alone = [] if request.adapter is None else [request.adapter]
    return [*alone, *(subject.adapter for subject in request.subjects)]


async def pick_model(session: AsyncSession, wanted: str, interaction: discord.Interaction[Any]) -> Model:
    """Return a model that can draw, by its id or name. Raises `ModelNotFound`, `ModelNotReady`, `AmbiguousName`."""
    return _ready(_choose(wanted, await _models(session, wanted, (), interaction), interaction.user.id))


async def _models(
    session: AsyncSession, chosen: str | None, prompts: Iterable[str], interaction: discord.Interaction[Any]
) -> Sequence[Model]:
    """Return what the prompts may mean; or of a model that was chosen, what that may mean, be it public."""
    models = await nameable_models(session, prompts if chosen is None else [chosen.strip()], interaction)
    if chosen is None or not MODEL_ID.fullmatch(chosen) or any(chosen == model.id for model in models):
        return models
    return [*models, await seen_model(session, chosen, interaction)]


async def nameable_models(
    session: AsyncSession, prompts: Iterable[str], interaction: discord.Interaction[Any]
) -> Sequence[Model]:
    """Return what prompts may mean: the models that can draw for this person here, and their own that cannot yet.

    Only such as have their names in the prompts, and some more: a server may share thousands.
    """
    said = "\n".join(fold(tidy(prompt)) for prompt in prompts)
    return await models_named(session, said, interaction.user.id, interaction.guild_id, roles_of(interaction))


async def _look(session: AsyncSession, base: str, wish: Wish, defaults: Defaults, guild_id: int | None) -> Look | None:
    """Return the look that is wished for, or else the person's usual one; that may not be known in this server."""
    if wish.look == NO_LOOK or (wish.look is None and defaults.look is None):
        return None
    if wish.look is not None:
        return await find_look(session, wish.look, base, guild_id)
    return next((look for look in await looks_for(session, base, guild_id) if look.id == defaults.look), None)


def read_for(prompt: str, chosen: str | None, models: Sequence[Model], asker_id: int) -> Reading:
    reading = read_prompt(prompt, models, asker_id, None if chosen is None else _choose(chosen, models, asker_id))
    for model in reading.models:
        _ready(model)
    return reading


def _choose(wanted: str, models: Sequence[Model], asker_id: int) -> Model:
    """Find the model that the option `model` means: its choices are ids, but a name can be typed as well."""
    for model in models:
        if model.id == wanted:
            return model
    named = pick(wanted.strip(), models, asker_id)
    if named is None:
        raise ModelNotFound
    return named


def _ready(model: Model) -> Model:
    check_up(model)
    if model.status is not ModelStatus.READY:
        raise ModelNotReady(model.name)
    return model


async def open_reply(interaction: "discord.Interaction[Dreambot]", *, private: bool) -> None:
    """Say that it is being seen to, unless pictures cannot be asked for here. Raises `NoRoom`, `WrongChannel`."""
    check_room(interaction.client.services)
    await check_channel(interaction)
    await acknowledge(interaction, ephemeral=private, thinking=True)


async def promise(
    interaction: "discord.Interaction[Dreambot]", asked: Sequence[NewImagining], together: tuple[SetKind, str] | None
) -> Job:
    """Write down what was asked for and show its card; of a set, `together` is its kind and what was typed for it."""
    services = interaction.client.services
    if not interaction.response.is_done():
        await open_reply(interaction, private=asked[0].private)
    most, here = services.settings.max_active_pictures, (interaction.guild_id, roles_of(interaction))
    try:
        async with services.database.write() as session:
            a_day = await per_day(session, services.settings, JobKind.IMAGINE, *here)
            if together is None:
                job = await accept_imagining(session, asked[0], services.clock(), most, a_day)
            else:
                job = await accept_set(session, together[0], together[1], asked, services.clock(), most, a_day)
    except UserError:
        await withdraw(interaction)
        raise
    reach("imagining.promised")
    services.queue.wake()
    await post_card(services, job, partial(answer, interaction))
    return job


async def promise_with(
    interaction: "discord.Interaction[Dreambot]",
    asked: Sequence[NewImagining],
    together: tuple[SetKind, str] | None,
    files: Mapping[str, bytes],
) -> None:
    """Promise what goes on from pictures that were sent along, PNGs by their keys: they stay only if it is promised."""
    services = interaction.client.services
    for key, data in files.items():
        await services.blobs.put(key, data, "image/png")
    promised = None
    try:
        promised = await promise(interaction, asked, together)
    finally:
        if promised is None or promised.id != asked[0].job:  # refused, or promised before for the same interaction
            for key in files:
                await services.blobs.delete(key)


def _asker(
    interaction: "discord.Interaction[Dreambot]", asked_by: int | None = None, *, private: bool
) -> dict[str, Any]:
    return {
        "interaction_id": interaction.id if asked_by is None else asked_by,
        "owner_id": interaction.user.id,
        "guild_id": interaction.guild_id,
        "channel_id": interaction.channel_id,
        "roles": roles_of(interaction),
        "locale": locale_of_card(interaction, private=private),
    }


def any_seed() -> int:
    return random.randint(0, MAX_SEED)
