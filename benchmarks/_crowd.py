"""A database as it is after years: many people with models, jobs and pictures, written as fast as it goes."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, create_engine, insert

from storage.contract import JobKind, SubjectKind
from storage.schema import (
    Charge,
    Consent,
    Delivery,
    DeliveryKind,
    DeliveryState,
    Image,
    Job,
    JobState,
    Model,
    ModelStatus,
    Owner,
)

AT_ONCE = 10_000
PICTURES_A_JOB = 4
FIRST_PERSON, GUILD, CHANNELS = 1_000_000, 7000, 500
NAMES = ("rex", "luna", "comet", "ember", "sage", "clover", "bolt", "moss", "dusk", "flint", "slate", "rusty")
NOUNS = ("dog", "cat", "fox", "owl", "car", "rabbit")
THE_LAST_YEARS = timedelta(days=700)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Crowd:
    people: int
    models: int
    images: int

    def person(self, number: int) -> int:
        return FIRST_PERSON + number % self.people

    def model(self, number: int) -> str:
        return f"{number:032x}"


def fill(path: Path, crowd: Crowd, consent_version: str, consent_digest: str) -> None:
    """Write the crowd into the SQLite file at `path`, whose tables are there and empty."""
    engine, chance, now = create_engine(f"sqlite:///{path}"), random.Random(0), datetime.now(UTC)

    def some_time() -> datetime:
        return now - THE_LAST_YEARS * chance.random()

    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA synchronous = OFF")
        connection.commit()
        for table, rows in _rows(crowd, some_time, consent_version, consent_digest):
            _write(connection, table, rows)
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    engine.dispose()


def _write(connection: Connection, table: type[Any], rows: Iterator[Row]) -> None:
    target: Table = table.__table__
    while part := list(islice(rows, AT_ONCE)):
        connection.execute(insert(target), part)
        connection.commit()


def _rows(
    crowd: Crowd, some_time: Callable[[], datetime], consent_version: str, consent_digest: str
) -> Iterator[tuple[type[Any], Iterator[Row]]]:
    people, jobs = range(crowd.people), range(crowd.images // PICTURES_A_JOB)
    yield Owner, ({"id": crowd.person(n), "created_at": some_time(), "direct_messages": False} for n in people)
    agreed = {"text_version": consent_version, "text_digest": consent_digest}
    yield Consent, (agreed | {"owner_id": crowd.person(n), "interaction_id": n, "at": some_time()} for n in people)
    yield Model, (_model(crowd, n, some_time()) for n in range(crowd.models))
    yield Job, (_job(crowd, n, some_time()) for n in jobs)
    yield (
        Charge,
        (
            {"job_id": _id(n), "owner_id": crowd.person(n), "kind": JobKind.IMAGINE, "amount": 4, "at": some_time()}
            for n in jobs
        ),
    )
    yield Delivery, (_delivery(crowd, n, some_time()) for n in jobs)
    yield Image, (_image(crowd, n, some_time()) for n in range(crowd.images))


def _id(job: int) -> str:
    return f"{1 << 100 | job:032x}"


def _model(crowd: Crowd, number: int, at: datetime) -> Row:
    name = f"{NAMES[number % len(NAMES)]}{number}"
    return {
        "id": crowd.model(number), "owner_id": crowd.person(number), "guild_id": GUILD, "name": name, "name_key": name,
        "class_noun": NOUNS[number % len(NOUNS)], "subject_kind": SubjectKind.PET, "identifier": "sks", "base": "demo",
        "photo_count": 6, "created_at": at, "version": 1, "status": ModelStatus.READY, "trained_at": at,
        "adapter_key": f"models/{number}", "adapter_digest": f"{number:064x}", "adapter_bytes": 4_000_000,
        "subject_score": 0.8, "variant": "best",
        "shared_guild_id": GUILD if number % 1000 == 0 else None,
    }  # fmt: skip


def _job(crowd: Crowd, number: int, at: datetime) -> Row:
    return {
        "id": _id(number), "kind": JobKind.IMAGINE, "owner_id": crowd.person(number), "guild_id": GUILD,
        "channel_id": number % CHANNELS + 1, "model_id": crowd.model(number % crowd.models), "interaction_id": number,
        "base": "demo", "request": {"count": PICTURES_A_JOB}, "created_at": at, "private": False, "spoiler": False,
        "state": JobState.SUCCEEDED, "attempt": 1, "last_seq": 9, "step": 25, "losses": [], "started_at": at,
        "finished_at": at, "seconds": 2.0,
    }  # fmt: skip


def _delivery(crowd: Crowd, number: int, at: datetime) -> Row:
    return {
        "job_id": _id(number), "kind": DeliveryKind.RESULT, "channel_id": number % CHANNELS + 1,
        "owner_id": crowd.person(number), "not_before": at, "updated_at": at, "state": DeliveryState.SENT,
        "message_id": number + 1, "attempts": 1, "dirty": False, "revision": 1, "posts": 1, "direct": False,
    }  # fmt: skip


def _image(crowd: Crowd, number: int, at: datetime) -> Row:
    job = number // PICTURES_A_JOB
    return {
        "id": f"{1 << 101 | number:032x}", "job_id": _id(job), "model_id": crowd.model(job % crowd.models),
        "owner_id": crowd.person(job), "key": f"images/{number}.webp", "seed": number, "width": 256, "height": 256,
        "position": number % PICTURES_A_JOB, "created_at": at, "variant": "best",
    }  # fmt: skip
