"""From a prompt to a promise: read what a person asks for, write it down in one transaction, show the waiting card."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import discord
from sqlalchemy.ext.asyncio import AsyncSession

from bot.cards import answer, post_card
from bot.prompts import Reading, pick, read_negative, read_prompt, tidy
from bot.replies import withdraw
from bot.room import check_room
from storage.bases import Shape, picture_size
from storage.contract import MAX_SEED, ImagineRequest
from storage.errors import ModelNotFound, ModelNotReady, NotYourJob, PromptGone, UserError
from storage.faults import reach
from storage.jobs import NewImagining, accept_imagining, find_job
from storage.models import find_model, own_models, usable_models
from storage.schema import Model, ModelStatus

if TYPE_CHECKING:
    from bot.app import Dreambot

UNREADY_LOOKED_AT = 100
"""How many of a person's newest models are looked through for a name that cannot draw yet."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person asks for, in their own words."""

    prompt: str
    model: str | None = None
    """A model's id or name; `None` leaves it to the prompt."""
    count: int = 1
    seed: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    negative_prompt: str = ""
    shape: Shape = Shape.SQUARE
    private: bool = False
    spoiler: bool = False


async def imagine(interaction: "discord.Interaction[Dreambot]", wish: Wish) -> None:
    """Answer a wish with a waiting card.

    Raises `EmptyPrompt`, `PromptTooLong`, `SeveralSubjects`, `AmbiguousName`, `ModelNotFound`, `ModelNotReady`,
    `TooManyJobs` and `QuotaUsedUp`.
    """
    services = interaction.client.services
    negative_prompt = read_negative(wish.negative_prompt)
    async with services.database.read() as session:
        reading = await _read(session, wish, interaction.user.id, interaction.guild_id)
    base = services.base if reading.model is None else reading.model.base
    width, height = picture_size(base, wish.shape)
    new = NewImagining(
        **_asker(interaction),
        model=reading.model,
        prompt=reading.words,
        prompt_shown=tidy(wish.prompt),
        negative_prompt=negative_prompt,
        count=wish.count,
        seed=_any_seed() if wish.seed is None else wish.seed,
        steps=wish.steps,
        guidance_scale=wish.guidance_scale,
        width=width,
        height=height,
        base=base,
        private=wish.private,
        spoiler=wish.spoiler,
        webhook_token=interaction.token if wish.private else None,
    )
    await _promise(interaction, new)


async def draw_again(interaction: "discord.Interaction[Dreambot]", job_id: str) -> None:
    """Ask for what a job drew, from a new seed and in the presser's name.

    Raises `NotYourJob`, `PromptGone`, `ModelNotFound`, `ModelNotReady`, `TooManyJobs` and `QuotaUsedUp`.
    """
    async with interaction.client.services.database.read() as session:
        job = await find_job(session, job_id)
        if job is None:
            raise NotYourJob
        if job.prompt_shown is None:
            raise PromptGone
        model = None
        if job.model_id is not None:
            model = _ready(await find_model(session, job.model_id, interaction.user.id, interaction.guild_id))
    request = ImagineRequest.model_validate(job.request)
    new = NewImagining(
        **_asker(interaction),
        model=model,
        prompt=request.prompt,
        prompt_shown=job.prompt_shown,
        negative_prompt=request.negative_prompt,
        count=request.count,
        seed=_any_seed(),
        steps=request.steps,
        guidance_scale=request.guidance_scale,
        width=request.width,
        height=request.height,
        base=request.base,
        private=job.private,
        spoiler=job.spoiler,
        webhook_token=interaction.token if job.private else None,
    )
    await _promise(interaction, new)


async def nameable_models(session: AsyncSession, asker_id: int, guild_id: int | None) -> Sequence[Model]:
    """Return what a prompt may mean: the models that can draw for this person here, and their own that cannot yet."""
    own = await own_models(session, asker_id, 0, UNREADY_LOOKED_AT)
    unready = [model for model in own if model.status is not ModelStatus.READY]
    return [*await usable_models(session, asker_id, guild_id), *unready]


async def _read(session: AsyncSession, wish: Wish, asker_id: int, guild_id: int | None) -> Reading:
    models = await nameable_models(session, asker_id, guild_id)
    chosen = None if wish.model is None else _choose(wish.model, models, asker_id)
    reading = read_prompt(wish.prompt, models, asker_id, chosen)
    if reading.model is not None:
        _ready(reading.model)
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
    if model.status is not ModelStatus.READY:
        raise ModelNotReady(model.name)
    return model


async def _promise(interaction: "discord.Interaction[Dreambot]", new: NewImagining) -> None:
    services = interaction.client.services
    check_room(services)
    await interaction.response.defer(ephemeral=new.private, thinking=True)
    try:
        async with services.database.write() as session:
            job = await accept_imagining(
                session,
                new,
                services.clock(),
                limit=services.settings.max_active_pictures,
                per_day=services.settings.max_pictures_per_day,
            )
    except UserError:
        await withdraw(interaction)
        raise
    reach("imagining.promised")
    services.queue.wake()
    await post_card(services, job, partial(answer, interaction))


def _asker(interaction: "discord.Interaction[Dreambot]") -> dict[str, Any]:
    return {
        "job": uuid4().hex,
        "interaction_id": interaction.id,
        "owner_id": interaction.user.id,
        "guild_id": interaction.guild_id,
        "channel_id": interaction.channel_id,
    }


def _any_seed() -> int:
    return random.randint(0, MAX_SEED)
