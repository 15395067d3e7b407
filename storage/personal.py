"""All that is kept of one person: counted, written out for them, and forgotten."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.companions import forget_words
from storage.deliveries import touch_card
from storage.leftovers import brought_with, strike_prompt
from storage.outcomes import stop_job
from storage.people import defaults_of, wants_direct_messages
from storage.schema import Consent, Delivery, DeliveryKind, Draft, Image, Job, Look, Model, Owner, Photo, Report, Share


@dataclass(frozen=True, kw_only=True)
class Held:
    """How much of each kind is kept."""

    models: int
    photos: int
    pictures: int
    prompts: int
    drafts: int
    consents: int


async def held(session: AsyncSession, person_id: int) -> Held:
    async def count(table: type[Any], *where: ColumnElement[bool]) -> int:
        return await session.scalar(select(func.count()).select_from(table).where(*where)) or 0

    return Held(
        models=await count(Model, _kept(person_id)),
        photos=await count(Photo, Photo.job_id.in_(select(Job.id).where(Job.owner_id == person_id))),
        pictures=await count(Image, Image.owner_id == person_id),
        prompts=await count(Job, Job.owner_id == person_id, Job.prompt_shown.is_not(None)),
        drafts=await count(Draft, Draft.owner_id == person_id),
        consents=await count(Consent, Consent.owner_id == person_id),
    )


async def kept_models(session: AsyncSession, person_id: int) -> Sequence[Model]:
    """Return the person's models that are not erased, those in the bin too, the oldest first."""
    query = select(Model).where(_kept(person_id)).order_by(Model.created_at, Model.id)
    return (await session.scalars(query)).all()


async def kept_pictures(session: AsyncSession, person_id: int) -> Sequence[Image]:
    """Return all that was drawn for the person, the newest first."""
    query = select(Image).where(Image.owner_id == person_id).order_by(Image.created_at.desc(), Image.id)
    return (await session.scalars(query)).all()


async def announcements(session: AsyncSession, person_id: int) -> Sequence[tuple[int, int]]:
    """Return where messages stand that told the person of a training's end, as channel and message."""
    told = select(Delivery.channel_id, Delivery.message_id).where(
        Delivery.owner_id == person_id, Delivery.kind == DeliveryKind.RESULT, Delivery.message_id.is_not(None)
    )
    return [(channel, message) for channel, message in await session.execute(told) if message is not None]


async def records(session: AsyncSession, person_id: int) -> dict[str, Any]:
    """Return what the rows say of the person, as JSON knows it."""
    owner = await session.get(Owner, person_id)
    jobs = await session.scalars(select(Job).where(Job.owner_id == person_id).order_by(Job.created_at, Job.id))
    consents = await session.scalars(select(Consent).where(Consent.owner_id == person_id).order_by(Consent.at))
    reports = await session.scalars(select(Report).where(Report.reporter_id == person_id).order_by(Report.at))
    shared = await session.scalars(select(Share.model_id).where(Share.person_id == person_id))
    return {
        "person": person_id,
        "known_since": None if owner is None else owner.created_at.isoformat(),
        "direct_messages": await wants_direct_messages(session, person_id),
        "defaults": (await defaults_of(session, person_id)).model_dump(mode="json"),
        "consents": [{"text": each.text_version, "at": each.at.isoformat()} for each in consents],
        "models": [_model_record(model) for model in await kept_models(session, person_id)],
        "requests": [_job_record(job) for job in jobs],
        "reports": [
            {"request": each.job_id, "reason": each.reason, "note": each.note, "at": each.at.isoformat()}
            for each in reports
        ],
        "shared_with_you": list(shared),
    }


async def forget_person(session: AsyncSession, person_id: int, at: datetime) -> list[str]:
    """Forget all but what the models hold, which are erased one by one; returns the keys of the blobs to delete.

    What is under way is stopped. Reports stay, for they protect others; requests stay as lines without content.
    """
    jobs = (await session.scalars(select(Job).where(Job.owner_id == person_id).with_for_update())).all()
    keys = [key for job in jobs for key in brought_with(job)]
    for job in jobs:
        if not job.state.ended:
            await stop_job(session, job, at)
        strike_prompt(job)
        await touch_card(session, job.id, at, at_once=True)
    await forget_words(session, [job.id for job in jobs])
    keys += await session.scalars(delete(Image).where(Image.owner_id == person_id).returning(Image.key))
    for draft in await session.scalars(delete(Draft).where(Draft.owner_id == person_id).returning(Draft.training)):
        keys += [photo["key"] for photo in draft["photos"]]
    await session.execute(delete(Consent).where(Consent.owner_id == person_id))
    await session.execute(delete(Share).where(Share.person_id == person_id))
    await session.execute(update(Look).where(Look.author_id == person_id).values(author_id=0))
    owner = await session.get(Owner, person_id)
    if owner is not None:
        owner.direct_messages, owner.defaults = False, None
    return keys


def _kept(person_id: int) -> ColumnElement[bool]:
    return and_(Model.owner_id == person_id, or_(Model.deleted_at.is_(None), Model.erase_at.is_not(None)))


def _model_record(model: Model) -> dict[str, Any]:
    return {
        "id": model.id,
        "name": model.name,
        "class": model.class_noun,
        "kind": model.subject_kind,
        "base": model.base,
        "status": model.status,
        "photos": model.photo_count,
        "score": model.subject_score,
        "created": model.created_at.isoformat(),
        "shared_with_server": model.shared_guild_id,
        "public": model.public_at is not None,
    }


def _job_record(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "model": job.model_id,
        "server": job.guild_id,
        "channel": job.channel_id,
        "prompt": job.prompt_shown,
        "state": job.state,
        "asked": job.created_at.isoformat(),
        "gpu_seconds": job.seconds,
    }
