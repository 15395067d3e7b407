"""Trainings that wait for their owner's word or photos, so that nobody has to type or attach anything twice."""

from datetime import timedelta
from functools import partial
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from bot.intake import delete_photos
from bot.loops import Wake, forever
from bot.services import Services
from bot.training import Asker, Wish, new_training, note_consent, promise
from storage.drafts import drafts_before, find_draft, keep_draft, take_draft
from storage.errors import UserError
from storage.faults import reach
from storage.jobs import find_job
from storage.schema import Job
from storage.trainings import NewTraining

DRAFT_LIFE = timedelta(hours=12)
"""How long photos wait; well below the age at which the sweep takes bytes that no job names."""
LOOK_SECONDS = 600.0


class DraftGone(UserError):
    """The photos that waited for their owner's word are deleted."""


class FormGone(UserError):
    """A form whose beginnings are forgotten, or one of an older version."""


async def keep(
    services: Services, training: NewTraining, *, agrees: bool = False, in_place_of: str | None = None
) -> None:
    """Let a training wait for its owner's word, in place of an earlier draft of theirs.

    `agrees` notes that they agreed to the present words when they sent the photos.
    """
    async with services.database.write() as session:
        if agrees:
            await note_consent(session, services, training.owner_id, training.interaction_id)
        old = None if in_place_of is None else await take_draft(session, in_place_of, training.owner_id)
        await keep_draft(session, training, services.clock())
    reach("draft.kept")
    if old is not None:
        await delete_photos(services.blobs, old.photos)


async def keep_for_form(services: Services, wish: Wish, asker: Asker) -> str:
    """Keep what a person typed until their form brings the photos; returns the draft's id."""
    training = new_training(services, uuid4().hex, wish, asker, photos=())
    await keep(services, training)
    return training.job


async def wish_of(session: AsyncSession, draft_id: str, owner_id: int) -> Wish:
    """Return what the person typed before the form opened. Raises FormGone."""
    draft = await find_draft(session, draft_id, owner_id)
    if draft is None:
        raise FormGone
    return Wish(
        name=draft.name,
        class_noun=draft.class_noun,
        subject_kind=draft.subject_kind,
        quality=draft.quality,
        seed=draft.seed,
        options=draft.options,
        model=draft.model,
    )


async def accept_draft(
    services: Services,
    draft_id: str,
    owner_id: int,
    interaction_id: int,
    *,
    agrees: bool,
    roles: frozenset[int] = frozenset(),
) -> Job | None:
    """Begin what waited, and note consent where it `agrees`; None when it has begun already.

    While something forbids it, the draft waits on.

    Raises DraftGone, Blocked, Paused, NameTaken, TrainingActive, QuotaUsedUp.
    """
    async with services.database.write() as session:
        training = await take_draft(session, draft_id, owner_id)
        if training is None:
            job = await find_job(session, draft_id)
            if job is None or job.owner_id != owner_id:
                raise DraftGone
            return None
        if agrees:
            await note_consent(session, services, owner_id, interaction_id)
            reach("draft.agreed")
        job = await promise(session, services, training, roles)
    if job.id != training.job:  # the command came twice, and the card of its other coming was pressed before
        await delete_photos(services.blobs, training.photos)
    reach("draft.promised")
    services.queue.wake()
    return job


async def drop_draft(services: Services, draft_id: str, owner_id: int) -> None:
    """Delete what waits; nothing when it is gone already."""
    async with services.database.write() as session:
        training = await take_draft(session, draft_id, owner_id)
    if training is not None:
        await delete_photos(services.blobs, training.photos)


async def drop_old_drafts(services: Services) -> None:
    """Delete the photos of everybody who has not said a word for `DRAFT_LIFE`."""
    async with services.database.read() as session:
        old = await drafts_before(session, services.clock() - DRAFT_LIFE)
    for training in old:
        await drop_draft(services, training.job, training.owner_id)


async def keep_no_old_drafts(services: Services) -> None:
    """Look for such photos again and again, for as long as the bot runs."""
    await forever("the removal of drafts", partial(drop_old_drafts, services), Wake(LOOK_SECONDS).rest)
