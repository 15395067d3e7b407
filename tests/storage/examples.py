"""Requests and events as tests need them."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

from storage.contract import (
    Adapter,
    Done,
    Findings,
    Imagined,
    Picture,
    Quality,
    RunnerUp,
    SubjectKind,
    Trained,
    Variant,
    adapter_key,
    download_key,
    photo_key,
    picture_key,
    sample_key,
    variant_name,
)
from storage.database import Database
from storage.imaginings import NewImagining, accept_imagining
from storage.schema import Job, Model
from storage.trainings import NewPhoto, NewTraining, accept_training

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ANN, BOB = 1001, 1002
GUILD, CHANNEL = 500, 600
BASE = "demo"

_interactions = count(9_000_000)


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def new_training(
    owner: int = ANN,
    name: str = "rex",
    interaction: int | None = None,
    job: str | None = None,
    model: str | None = None,
) -> NewTraining:
    job = job or uuid4().hex
    return NewTraining(
        job=job,
        model=model or uuid4().hex,
        interaction_id=next(_interactions) if interaction is None else interaction,
        owner_id=owner,
        guild_id=GUILD,
        channel_id=CHANNEL,
        name=name,
        class_noun="dog",
        subject_kind=SubjectKind.PET,
        quality=Quality.FAST,
        photos=tuple(NewPhoto(key=photo_key(job, n), sha256="0" * 64, width=64, height=64) for n in range(3)),
        base=BASE,
        seed=7,
    )


def new_imagining(
    owner: int = ANN, model: Model | None = None, interaction: int | None = None, job: str | None = None
) -> NewImagining:
    return NewImagining(
        job=job or uuid4().hex,
        interaction_id=next(_interactions) if interaction is None else interaction,
        owner_id=owner,
        guild_id=GUILD,
        channel_id=CHANNEL,
        model=model,
        prompt="a photo of sks dog on the moon",
        prompt_shown="rex on the moon",
        seed=7,
        base=BASE,
    )


async def accepted_training(database: Database, owner: int = ANN, name: str = "rex", at: datetime = NOW) -> Job:
    async with database.write() as session:
        return await accept_training(session, new_training(owner, name), at)


async def accepted_imagining(
    database: Database, owner: int = ANN, model: Model | None = None, at: datetime = NOW
) -> Job:
    async with database.write() as session:
        return await accept_imagining(session, new_imagining(owner, model), at, limit=1000)


def trained(job: Job, seq: int = 99) -> Done:
    """The last event of a training that went well, with a choice between two variants."""
    best = publication(job, Variant.BEST)
    alike = RunnerUp(variant=Variant.ALIKE, **publication(job, Variant.ALIKE, digest="c" * 64, score=0.9))
    done = Trained(steps=400, runners_up=(alike,), **best)
    return Done(job=job.id, attempt=job.attempt, seq=seq, seconds=42, trained=done)


def publication(job: Job, variant: Variant, digest: str = "a" * 64, score: float = 0.8) -> dict[str, Any]:
    """What a worker tells of one adapter of a training."""
    model, stem = str(job.model_id), variant_name("final", variant)
    return {
        "adapter": Adapter(model=model, key=adapter_key(model, job.id, job.attempt, variant), digest=digest),
        "adapter_bytes": 1000,
        "download": download_key(model, job.id, job.attempt, variant),
        "download_digest": "b" * 64,
        "subject_score": score,
        "findings": Findings(adherence=0.75, copied=0, repeated=0, drift=0.1),
        "samples": tuple(
            Picture(key=sample_key(job.id, job.attempt, f"{stem}-{n}"), seed=n, width=64, height=64) for n in range(2)
        ),
    }


def imagined(job: Job, seq: int = 99) -> Done:
    """The last event of an imagining that went well."""
    picture = Picture(key=picture_key(job.id, job.attempt, 0), seed=7, width=64, height=64)
    return Done(job=job.id, attempt=job.attempt, seq=seq, seconds=3, imagined=Imagined(pictures=(picture,)))
