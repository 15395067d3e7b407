"""Pictures that people ask for, accepted in one transaction with all that belongs to them."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.admission import check_admitted
from storage.contract import Adapter, ImagineRequest, JobKind, Quality, Source, Subject
from storage.errors import ModelNotReady, TooManyJobs
from storage.jobs import job_of_interaction
from storage.models import check_up, find_model
from storage.people import ensure_owner
from storage.promises import NO_LIMIT, add_card, add_job
from storage.quotas import check_quota
from storage.schema import ACTIVE, Companion, Job, Model, ModelStatus, SecondSubject

MAX_WAITING_IMAGININGS = 50

# Written once, for it is asked at every request.
ACTIVE_IMAGININGS = (
    select(func.count(func.coalesce(Companion.lead_id, Job.id).distinct()))
    .select_from(Job)
    .outerjoin(Companion, Companion.job_id == Job.id)
    .where(Job.owner_id == bindparam("owner"), Job.state.in_(ACTIVE), Job.kind == JobKind.IMAGINE)
)


@dataclass(frozen=True)
class NewSubject:
    """One of two, and what the base model would read if it were alone in the picture."""

    model: Model
    prompt: str


@dataclass(frozen=True, kw_only=True)
class NewImagining:
    job: str
    interaction_id: int
    owner_id: int
    guild_id: int | None
    channel_id: int
    model: Model | None
    """The only one; `None` for the plain base, and for two."""
    subjects: tuple[NewSubject, ...] = ()
    """The two that stand side by side, from left to right."""
    prompt: str
    """As the base model reads it: with the identifier and the class noun in place of the name."""
    prompt_shown: str
    negative_prompt: str = ""
    count: int = 1
    seed: int
    quality: Quality | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    width: int | None = None
    height: int | None = None
    base: str
    private: bool = False
    spoiler: bool = False
    webhook_token: str | None = None
    parent: str | None = None
    """The job whose card this is asked for from."""
    look: str | None = None
    lossless: bool = False
    """As PNG, whatever the size."""
    source: Source | None = None
    """The picture to work on."""
    scored: bool = False
    """Each picture is held against its subject's photos."""
    roles: frozenset[int] = frozenset()
    """Those that the asker has where they ask."""
    locale: str | None = None
    """The language of its messages."""


async def accept_imagining(
    session: AsyncSession,
    new: NewImagining,
    at: datetime,
    limit: int = MAX_WAITING_IMAGININGS,
    per_day: int | None = NO_LIMIT,
) -> Job:
    """Promise pictures: job, charge, card and outbox row. The same interaction twice is the same job.

    `limit` counts jobs at a time, `per_day` pictures. Raises `Blocked`, `Paused`, `ModelNotFound`, `ModelNotReady`,
    `TooManyJobs`, `QuotaUsedUp`.
    """
    await ensure_owner(session, new.owner_id, at)
    if (known := await job_of_interaction(session, new.interaction_id)) is not None:
        return known
    await check_admitted(session, new.owner_id, new.guild_id)
    await check_may_draw(session, new.owner_id, new.count, at, limit, per_day)
    job = await new_imagining(session, new, at)
    add_card(session, job, at, new.webhook_token)
    return job


async def check_may_draw(
    session: AsyncSession, owner_id: int, count: int, at: datetime, limit: int, per_day: int | None
) -> None:
    """Raises `TooManyJobs`, `QuotaUsedUp`; pictures that were asked for together count as one job."""
    if (await session.scalar(ACTIVE_IMAGININGS, {"owner": owner_id}) or 0) >= limit:
        raise TooManyJobs(limit)
    await check_quota(session, owner_id, JobKind.IMAGINE, count, per_day, at)


async def new_imagining(session: AsyncSession, new: NewImagining, at: datetime, *, companion: bool = False) -> Job:
    """Write the job, its charge and its outbox row, but no card. Raises `ModelNotFound`, `ModelNotReady`.

    Of the jobs that one interaction makes, the first has its number; a companion has a negative one of its own.
    """
    models = [new.model] if new.model is not None else [subject.model for subject in new.subjects]
    request = ImagineRequest(
        job=new.job,
        attempt=1,
        base=new.base,
        prompt=new.prompt,
        negative_prompt=new.negative_prompt,
        adapter=None if new.model is None else await _adapter(session, new, new.model.id),
        subjects=tuple(
            [
                Subject(adapter=await _adapter(session, new, subject.model.id), prompt=subject.prompt)
                for subject in new.subjects
            ]
        ),
        source=new.source,
        count=new.count,
        seed=new.seed,
        quality=new.quality,
        steps=new.steps,
        guidance_scale=new.guidance_scale,
        lossless=new.lossless,
        scored=new.scored,
        width=new.width,
        height=new.height,
    )
    job = Job(
        id=new.job,
        kind=JobKind.IMAGINE,
        owner_id=new.owner_id,
        guild_id=new.guild_id,
        channel_id=new.channel_id,
        model_id=models[0].id if models else None,
        interaction_id=-int(new.job[:15], 16) if companion else new.interaction_id,
        base=new.base,
        request=request.model_dump(mode="json"),
        created_at=at,
        prompt_shown=new.prompt_shown,
        private=new.private,
        spoiler=new.spoiler,
        parent_id=new.parent,
        look=new.look,
        locale=new.locale,
    )
    await add_job(session, job, at)
    session.add_all(SecondSubject(job_id=job.id, model_id=model.id) for model in models[1:])
    return job


async def _adapter(session: AsyncSession, new: NewImagining, model_id: str) -> Adapter:
    """Return the files as they are now: the model may have changed, gone or been unshared since it was chosen."""
    model = await find_model(session, model_id, new.owner_id, new.guild_id, new.roles)
    check_up(model)
    if model.status is not ModelStatus.READY or model.adapter_key is None or model.adapter_digest is None:
        raise ModelNotReady(model.name)
    return Adapter(model=model.id, key=model.adapter_key, digest=model.adapter_digest)
