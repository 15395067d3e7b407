"""From what a person typed after /train to a training to be: checked, and its photos taken in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

import discord
from sqlalchemy.ext.asyncio import AsyncSession

from bot.consent import ConsentText
from bot.intake import TakenIn, take_in
from bot.limits import per_day
from bot.room import check_room
from bot.services import Services
from bot.subject_kinds import guess_kind, names_a_child
from storage.admission import check_admitted
from storage.contract import JobKind, Quality, SubjectKind, TrainingOptions
from storage.errors import NameProblem, TrainingActive, UserError
from storage.faults import reach
from storage.jobs import active_jobs
from storage.model_names import check_name_free
from storage.names import validate_name
from storage.people import has_consent, record_consent
from storage.quotas import check_quota
from storage.schema import Job, Model
from storage.trainings import NewPhoto, NewTraining, accept_training

MAX_CLASS_CHARS = 40


class InvalidClass(UserError):
    def __init__(self, problem: NameProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


class ChildAsSubject(UserError):
    """The class noun names a child; consent covers adults alone."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person wants trained, checked; all but the photos."""

    name: str
    class_noun: str
    subject_kind: SubjectKind
    quality: Quality
    seed: int
    options: TrainingOptions
    model: str = field(default_factory=lambda: uuid4().hex)
    """The id of a new one, or of the model that learns once more."""


@dataclass(frozen=True, kw_only=True)
class Asker:
    """Who asked, where, and by which interaction."""

    id: int
    guild_id: int | None
    channel_id: int
    interaction_id: int
    roles: frozenset[int] = frozenset()
    locale: str | None = None
    """The language of what everybody sees there."""


def check_class(class_noun: str) -> str:
    """Return the class noun as prompts have it. Raises InvalidClass, ChildAsSubject."""
    class_noun = " ".join(class_noun.lower().split())
    if not class_noun:
        raise InvalidClass(NameProblem.EMPTY)
    if len(class_noun) > MAX_CLASS_CHARS:
        raise InvalidClass(NameProblem.TOO_LONG)
    if not any(map(str.isalpha, class_noun)) or not all(letter.isalnum() or letter in " -'" for letter in class_noun):
        raise InvalidClass(NameProblem.CHARACTERS)
    if names_a_child(class_noun):
        raise ChildAsSubject
    return class_noun


def check_wish(
    name: str, class_noun: str, kind: SubjectKind | None, quality: Quality, seed: int, options: TrainingOptions
) -> Wish:
    """Raises InvalidName, InvalidClass, ChildAsSubject."""
    class_noun = check_class(class_noun)
    return Wish(
        name=validate_name(name),
        class_noun=class_noun,
        subject_kind=kind or guess_kind(class_noun),
        quality=quality,
        seed=seed,
        options=options,
    )


async def check_may_begin(session: AsyncSession, services: Services, asker: Asker, wish: Wish) -> None:
    """Raise what accepting would, before the person goes to any trouble.

    Raises Blocked, Paused, NameTaken, TrainingActive, QuotaUsedUp.
    """
    await check_admitted(session, asker.id, asker.guild_id)
    if await session.get(Model, wish.model) is None:
        await check_name_free(session, asker.id, wish.name)
    for job in await active_jobs(session, asker.id):
        if job.kind is JobKind.TRAIN:
            raise TrainingActive(job.id)
    a_day = await per_day(session, services.settings, JobKind.TRAIN, asker.guild_id, asker.roles)
    await check_quota(session, asker.id, JobKind.TRAIN, 1, a_day, services.clock())


async def agreed_already(session: AsyncSession, services: Services, owner_id: int) -> bool:
    return await has_consent(session, owner_id, ConsentText.of(services.settings).digest)


async def take_in_photos(
    services: Services, wish: Wish, asker: Asker, attachments: Sequence[discord.Attachment]
) -> tuple[NewTraining, TakenIn]:
    """Store the photos of a training to be. Raises NoRoom, TooFewPhotos, TooManyPhotos, PhotosRefused."""
    check_room(services)
    job = uuid4().hex
    taken = await take_in(services, job, attachments, wish.subject_kind)
    reach("training.photos_stored")
    flaws = tuple(found.flaw.value for found in taken.advice)
    return new_training(services, job, wish, asker, taken.photos, flaws), taken


def new_training(
    services: Services,
    job: str,
    wish: Wish,
    asker: Asker,
    photos: tuple[NewPhoto, ...],
    photo_flaws: tuple[str, ...] = (),
) -> NewTraining:
    return NewTraining(
        job=job,
        model=wish.model,
        interaction_id=asker.interaction_id,
        owner_id=asker.id,
        guild_id=asker.guild_id,
        channel_id=asker.channel_id,
        name=wish.name,
        class_noun=wish.class_noun,
        subject_kind=wish.subject_kind,
        quality=wish.quality,
        photos=photos,
        base=services.base,
        seed=wish.seed,
        options=wish.options,
        photo_flaws=photo_flaws,
        locale=asker.locale,
    )


async def promise(
    session: AsyncSession, services: Services, training: NewTraining, roles: frozenset[int] = frozenset()
) -> Job:
    """`roles` are those of the owner where they asked."""
    a_day = await per_day(session, services.settings, JobKind.TRAIN, training.guild_id, roles)
    return await accept_training(session, training, services.clock(), a_day)


async def note_consent(session: AsyncSession, services: Services, owner_id: int, interaction_id: int) -> None:
    text = ConsentText.of(services.settings)
    await record_consent(session, owner_id, text.version, text.digest, interaction_id, services.clock())
