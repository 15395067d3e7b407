"""People's requests: accepted in one transaction with all that belongs to them, looked up, cancelled."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import and_, bindparam, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.admission import check_admitted
from storage.companions import lead_of, members
from storage.contract import (
    Adapter,
    Box,
    ImagineRequest,
    JobKind,
    Quality,
    Source,
    Subject,
    SubjectKind,
    TrainingOptions,
    TrainRequest,
    Variant,
)
from storage.deliveries import POST_GRACE
from storage.errors import JobAlreadyEnded, ModelNotReady, NotYourJob, TooManyJobs, TrainingActive
from storage.events import apply_event
from storage.faults import reach
from storage.identifiers import choose_identifier
from storage.leftovers import brought_with, strike_prompt
from storage.models import check_up, find_model, find_own_model, free_name
from storage.names import name_key, validate_name
from storage.outcomes import fail_job, next_release, retry_job, stop_job
from storage.people import ensure_owner
from storage.quotas import charge, check_quota
from storage.schema import (
    ACTIVE,
    OPEN,
    WAITING,
    Companion,
    Delivery,
    DeliveryKind,
    Image,
    Job,
    Model,
    ModelStatus,
    Photo,
    SecondSubject,
)

__all__ = [
    "NewImagining",
    "NewPhoto",
    "NewSubject",
    "NewTraining",
    "accept_imagining",
    "accept_training",
    "active_jobs",
    "active_requests",
    "apply_event",
    "delete_pictures",
    "fail_job",
    "find_job",
    "pictures_of",
    "queue_place",
    "request_cancel",
    "retry_job",
]

MAX_WAITING_IMAGININGS = 50
NO_LIMIT = None

# Written once, for they are asked at every request.
ACTIVE_IMAGININGS = (
    select(func.count(func.coalesce(Companion.lead_id, Job.id).distinct()))
    .select_from(Job)
    .outerjoin(Companion, Companion.job_id == Job.id)
    .where(Job.owner_id == bindparam("owner"), Job.state.in_(ACTIVE), Job.kind == JobKind.IMAGINE)
)
AT_OWN_TIME = and_(Job.created_at == bindparam("own_time"), Job.id < bindparam("own_id"))
EARLIER = (
    select(func.count())
    .select_from(Job)
    .where(Job.kind == bindparam("own_kind"), Job.base == bindparam("own_base"), OPEN, Job.state.in_(WAITING))
    .where(or_(Job.created_at < bindparam("own_time"), AT_OWN_TIME))
)
OF_INTERACTION = select(Job).where(Job.interaction_id == bindparam("number"))
PICTURES = (
    select(Image)
    .where(Image.job_id == bindparam("job"), Image.variant == bindparam("drawn_by"))
    .order_by(Image.position)
)


@dataclass(frozen=True, kw_only=True)
class NewPhoto:
    """A photo that is already in the blob store."""

    key: str
    sha256: str
    width: int
    height: int
    subject: Box | None = None
    """Where the photo shows it, if that was found."""


@dataclass(frozen=True, kw_only=True)
class NewTraining:
    """The ids are made by the caller, because the photos' keys carry them."""

    job: str
    model: str
    """A new one, or that of a model which learns once more."""
    interaction_id: int
    owner_id: int
    guild_id: int | None
    channel_id: int
    name: str
    class_noun: str
    subject_kind: SubjectKind
    quality: Quality
    photos: tuple[NewPhoto, ...]
    base: str
    seed: int
    options: TrainingOptions = field(default_factory=TrainingOptions)
    photo_flaws: tuple[str, ...] = ()
    """What is wrong with the photos, as the bot calls it."""
    class_agreed: bool = False
    """That the owner was asked whether the class noun fits."""
    locale: str | None = None
    """The language of its messages."""


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


async def accept_training(session: AsyncSession, new: NewTraining, at: datetime, per_day: int | None = NO_LIMIT) -> Job:
    """Promise a training: model, photos, job, charge, card and outbox row. The same interaction twice is the same job.

    Raises `Blocked`, `Paused`, `InvalidName`, `NameTaken`, `TrainingActive`, `QuotaUsedUp`; of a model that learns once
    more `ModelNotFound`, `ModelNotReady`, `ModelTakenDown`.
    """
    name = validate_name(new.name)
    await ensure_owner(session, new.owner_id, at)
    if (known := await job_of_interaction(session, new.interaction_id)) is not None:
        return known
    await check_admitted(session, new.owner_id, new.guild_id)
    for active in await active_jobs(session, new.owner_id):
        if active.kind is JobKind.TRAIN:
            raise TrainingActive(active.id)
    await check_quota(session, new.owner_id, JobKind.TRAIN, 1, per_day, at)
    model = await _model_to_train(session, new, name, at)
    job = Job(
        id=new.job,
        kind=JobKind.TRAIN,
        owner_id=new.owner_id,
        guild_id=new.guild_id,
        channel_id=new.channel_id,
        model_id=model.id,
        interaction_id=new.interaction_id,
        base=new.base,
        request=_train_request(new, model).model_dump(mode="json"),
        created_at=at,
        locale=new.locale,
        photo_flaws=list(new.photo_flaws),
    )
    await _add_job(session, job, at)
    add_card(session, job, at)
    session.add_all(
        Photo(
            job_id=job.id,
            model_id=model.id,
            position=position,
            key=photo.key,
            sha256=photo.sha256,
            width=photo.width,
            height=photo.height,
        )
        for position, photo in enumerate(new.photos)
    )
    return job


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
    await _add_job(session, job, at)
    session.add_all(SecondSubject(job_id=job.id, model_id=model.id) for model in models[1:])
    return job


async def find_job(session: AsyncSession, job_id: str) -> Job | None:
    return await session.get(Job, job_id)


async def active_jobs(session: AsyncSession, owner_id: int) -> Sequence[Job]:
    """Return the person's jobs that have not ended, the oldest first."""
    query = select(Job).where(Job.owner_id == owner_id, Job.state.in_(ACTIVE))
    return (await session.scalars(query.order_by(Job.created_at, Job.id))).all()


async def active_requests(session: AsyncSession, owner_id: int) -> Sequence[Job]:
    """Return what the person has under way, the oldest first: of each set the job that has the card."""
    leads = dict.fromkeys([await lead_of(session, job.id) for job in await active_jobs(session, owner_id)])
    return [await session.get_one(Job, lead) for lead in leads]


async def pictures_of(session: AsyncSession, job_id: str, variant: Variant = Variant.BEST) -> Sequence[Image]:
    """Return what the job drew, in its order; of a training the samples of one variant."""
    return (await session.scalars(PICTURES, {"job": job_id, "drawn_by": variant})).all()


async def delete_pictures(session: AsyncSession, job_id: str) -> list[str]:
    """Forget what the job drew, and the words for it; return the keys of the blobs to delete after the commit."""
    job = await session.get_one(Job, job_id, with_for_update=True)
    brought = brought_with(job)
    strike_prompt(job)
    return [*brought, *await session.scalars(delete(Image).where(Image.job_id == job_id).returning(Image.key))]


async def queue_place(session: AsyncSession, job: Job) -> int:
    """Return 1 for the job that comes next of its kind, and 0 for one that no longer waits."""
    if job.state not in WAITING:
        return 0
    own = {"own_kind": job.kind, "own_base": job.base, "own_time": job.created_at, "own_id": job.id}
    return 1 + (await session.scalar(EARLIER, own) or 0)


async def request_cancel(session: AsyncSession, job_id: str, asker_id: int, at: datetime) -> Job:
    """Cancel at once what no worker has; ask for the rest. Raises `NotYourJob`, `JobAlreadyEnded`.

    Of a set all is stopped; the job that is returned is one that had not ended.
    """
    job = await session.get(Job, job_id, with_for_update=True)
    if job is None or job.owner_id != asker_id:
        raise NotYourJob
    active = [each for each in await members(session, job_id) if not each.state.ended]
    if not active:
        raise JobAlreadyEnded(job.state)
    for each in active:
        await stop_job(session, each, at)
    return active[0]


async def job_of_interaction(session: AsyncSession, interaction_id: int) -> Job | None:
    return (await session.scalars(OF_INTERACTION, {"number": interaction_id})).one_or_none()


async def _model_to_train(session: AsyncSession, new: NewTraining, name: str, at: datetime) -> Model:
    if await session.get(Model, new.model) is not None:
        model = await find_own_model(session, new.model, new.owner_id)
        check_up(model)
        if model.status is not ModelStatus.READY:
            raise ModelNotReady(model.name)
        return model
    await free_name(session, new.owner_id, name, at)
    model = Model(
        id=new.model,
        owner_id=new.owner_id,
        guild_id=new.guild_id,
        name=name,
        name_key=name_key(name),
        class_noun=new.class_noun,
        subject_kind=new.subject_kind,
        identifier=choose_identifier(await _identifiers_in_use(session, new.owner_id)),
        base=new.base,
        photo_count=len(new.photos),
        photo_flaws=list(new.photo_flaws),
        created_at=at,
    )
    session.add(model)
    await session.flush()
    return model


async def _identifiers_in_use(session: AsyncSession, owner_id: int) -> Sequence[str]:
    query = select(Model.identifier).where(Model.owner_id == owner_id, Model.deleted_at.is_(None))
    return (await session.scalars(query)).all()


def _train_request(new: NewTraining, model: Model) -> TrainRequest:
    return TrainRequest(
        job=new.job,
        attempt=1,
        model=model.id,
        base=new.base,
        identifier=model.identifier,
        class_noun=new.class_noun,
        subject_kind=new.subject_kind,
        quality=new.quality,
        photos=tuple(photo.key for photo in new.photos),
        crops=tuple(photo.subject for photo in new.photos),
        options=new.options,
        class_agreed=new.class_agreed,
        seed=new.seed,
    )


async def _adapter(session: AsyncSession, new: NewImagining, model_id: str) -> Adapter:
    """Return the files as they are now: the model may have changed, gone or been unshared since it was chosen."""
    model = await find_model(session, model_id, new.owner_id, new.guild_id, new.roles)
    check_up(model)
    if model.status is not ModelStatus.READY or model.adapter_key is None or model.adapter_digest is None:
        raise ModelNotReady(model.name)
    return Adapter(model=model.id, key=model.adapter_key, digest=model.adapter_digest)


async def _add_job(session: AsyncSession, job: Job, at: datetime) -> None:
    session.add(job)
    await session.flush()
    charge(session, job, at)
    session.add(next_release(job, at))
    reach("job.written")


def add_card(session: AsyncSession, job: Job, at: datetime, webhook_token: str | None = None) -> None:
    """Owe the job's owner a message that shows it."""
    session.add(
        Delivery(
            job_id=job.id,
            kind=DeliveryKind.CARD,
            channel_id=job.channel_id,
            owner_id=job.owner_id,
            not_before=at + POST_GRACE,
            updated_at=at,
            webhook_token=webhook_token,
        )
    )
