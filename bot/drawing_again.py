"""What a card shows, asked for once more in the presser's name."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

import discord
from sqlalchemy.ext.asyncio import AsyncSession

from bot.access import seen_model
from bot.guest import is_guest
from bot.named_models import ready
from bot.promising import promise, who_asks
from bot.runs import any_seed
from storage.contract import MAX_SEED, Adapter, ImagineRequest, Quality
from storage.errors import NotYourJob, PromptGone
from storage.imaginings import NewImagining, NewSubject
from storage.jobs import find_job
from storage.schema import Job, Model
from storage.sets import members, set_of

if TYPE_CHECKING:
    from bot.app import Dreambot


IN_BEST = {"quality": Quality.BEST, "steps": None}
"""The steps of a fast drawing would be too few."""


async def draw_again(
    interaction: "discord.Interaction[Dreambot]", job_id: str, *, same_seed: bool = False, best: bool = False
) -> None:
    """Ask for what a card shows once more, in the presser's name: from a new seed or the same, or in best quality.

    Raises `NotYourJob`, `PromptGone`, `ModelNotFound`, `ModelNotReady`, `TooManyJobs` and `QuotaUsedUp`.
    """
    async with interaction.client.services.database.read() as session:
        if await find_job(session, job_id) is None:
            raise NotYourJob
        together, jobs = await set_of(session, job_id), await members(session, job_id)
        if jobs[0].prompt_shown is None:
            raise PromptGone
        requests = [ImagineRequest.model_validate(job.request | (IN_BEST if best else {})) for job in jobs]
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
        adapter.model: ready(await seen_model(session, adapter.model, interaction))
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
        **who_asks(interaction, private=private),
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
