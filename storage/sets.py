"""Pictures of several prompts that were asked for together: promised at once, shown on one card, stopped together."""

import math
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.admission import check_admitted
from storage.companions import members
from storage.imaginings import MAX_WAITING_IMAGININGS, NewImagining, check_may_draw, new_imagining
from storage.jobs import delete_pictures, job_of_interaction
from storage.people import ensure_owner
from storage.promises import NO_LIMIT, add_card
from storage.schema import Companion, Image, Job, PictureSet, SetKind

__all__ = ["accept_set", "best_of_each", "forget_card", "members", "pictures_of_set", "set_of"]


async def accept_set(
    session: AsyncSession,
    kind: SetKind,
    words: str | None,
    asked: Sequence[NewImagining],
    at: datetime,
    limit: int = MAX_WAITING_IMAGININGS,
    per_day: int | None = NO_LIMIT,
) -> Job:
    """Promise all of it or nothing; returns the first job, which has the card. The same interaction twice is one set.

    All are the same person's, by one interaction. Raises what `accept_imagining` raises.
    """
    first = asked[0]
    await ensure_owner(session, first.owner_id, at)
    if (known := await job_of_interaction(session, first.interaction_id)) is not None:
        return known
    await check_admitted(session, first.owner_id, first.guild_id)
    await check_may_draw(session, first.owner_id, sum(new.count for new in asked), at, limit, per_day)
    jobs = [await new_imagining(session, new, at, companion=new is not first) for new in asked]
    lead = jobs[0]
    session.add(PictureSet(job_id=lead.id, kind=kind, words=words))
    session.add_all(
        Companion(job_id=job.id, lead_id=lead.id, position=position) for position, job in enumerate(jobs[1:], start=1)
    )
    add_card(session, lead, at, first.webhook_token)
    return lead


async def set_of(session: AsyncSession, job_id: str) -> PictureSet | None:
    """Return the set that a job leads."""
    return await session.get(PictureSet, job_id)


async def forget_card(session: AsyncSession, job: Job) -> list[str]:
    """Forget what stands on a job's card, and the words for it; return the keys of the blobs to delete afterwards."""
    keys = [key for each in await members(session, job.id) for key in await delete_pictures(session, each.id)]
    if (together := await set_of(session, job.id)) is not None:
        together.words = None
    return keys


def best_of_each(images: Sequence[Image]) -> list[Image]:
    """Return of each job the picture that is most like its subject, or its first where nothing tells."""
    best: dict[str, Image] = {}
    for image in images:
        if image.job_id not in best or _score(image) > _score(best[image.job_id]):
            best[image.job_id] = image
    return list(best.values())


def _score(image: Image) -> float:
    return -math.inf if image.score is None else image.score


async def pictures_of_set(session: AsyncSession, jobs: Sequence[Job]) -> Sequence[Image]:
    """Return what the jobs drew, in their order."""
    order = {job.id: position for position, job in enumerate(jobs)}
    found = (await session.scalars(select(Image).where(Image.job_id.in_(order)))).all()
    return sorted(found, key=lambda image: (order[image.job_id], image.position))
