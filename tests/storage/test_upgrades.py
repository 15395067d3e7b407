"""A database of every age is brought up to date with all that is in it, and the jobs in it go on."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, NullPool, create_engine, select

from storage.contract import JobKind, TrainRequest, Variant, queue_name
from storage.database import Database
from storage.deliveries import due_deliveries
from storage.events import apply_event
from storage.migrations import configuration, upgrade
from storage.outbox import mark_released, next_releases
from storage.quotas import recount
from storage.schema import Delivery, DeliveryKind, DeliveryState, Job, JobState, Model, ModelStatus, Owner
from storage.variants import choices, training_in_use, use_variant, versions
from tests.storage.examples import ANN, BASE, CHANNEL, GUILD, NOW, new_training, trained

REVISIONS = sorted(script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions())
MESSAGES_WAIT_DIRTY = "0004"
"""From here on a message that was never sent counts as one that shows something old."""

WAITING, OLD = "1" * 32, "2" * 32
MODEL, OTHER_MODEL = "a" * 32, "b" * 32


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_database_of_any_age_goes_on(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "old.db"
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.begin() as connection:
        upgrade(connection, revision)
        fill(connection, revision)
    engine.dispose()

    async with await Database.open(f"sqlite:///{path}") as database:
        async with database.read() as session:
            assert await recount(session) == []
            assert [owner.id for owner in await session.scalars(select(Owner))] == [ANN]
            (release,) = await next_releases(session, {JobKind.TRAIN: 8, JobKind.IMAGINE: 8})
            (card,) = await due_deliveries(session, NOW + timedelta(minutes=1))
        assert (release.job, release.attempt, release.request["attempt"]) == (WAITING, 1, 1)
        assert (card.job_id, card.state) == (WAITING, DeliveryState.PENDING)

        async with database.write() as session:
            await mark_released(session, release, NOW)
            await apply_event(session, trained(await session.get_one(Job, WAITING)), NOW)
        async with database.read() as session:
            assert (await session.get_one(Job, WAITING)).state is JobState.SUCCEEDED
            assert (await session.get_one(Model, MODEL)).status is ModelStatus.READY
            results = select(Delivery.kind).where(Delivery.job_id == WAITING).order_by(Delivery.id)
            assert (await session.scalars(results)).all() == [DeliveryKind.CARD, DeliveryKind.RESULT]
            assert await recount(session) == []


def fill(connection: Connection, revision: str) -> None:
    """Write what a bot of that revision had: a training that waits, and one that ended and was shown."""
    tables = MetaData()
    tables.reflect(connection)
    for name, rows in old_rows(revision).items():
        for row in rows if name in tables.tables else ():
            connection.execute(tables.tables[name].insert(), row)


def old_rows(revision: str) -> dict[str, list[dict[str, Any]]]:
    at = NOW.replace(tzinfo=None)
    model = {
        "owner_id": ANN,
        "guild_id": GUILD,
        "class_noun": "dog",
        "subject_kind": "pet",
        "identifier": "sks",
        "base": BASE,
        "photo_count": 3,
        "created_at": at,
        "version": 0,
    }
    job = {
        "kind": "train",
        "owner_id": ANN,
        "guild_id": GUILD,
        "channel_id": CHANNEL,
        "base": BASE,
        "created_at": at,
        "private": False,
        "spoiler": False,
        "attempt": 1,
        "step": 0,
        "losses": [],
    }
    delivery = {"kind": "card", "channel_id": CHANNEL, "owner_id": ANN, "not_before": at, "updated_at": at}
    delivery |= {"attempts": 0, "revision": 0}
    return {
        "owners": [{"id": ANN, "created_at": at}],
        "models": [
            {**model, "id": MODEL, "name": "rex", "name_key": "rex", "status": "training"},
            {**model, "id": OTHER_MODEL, "name": "luna", "name_key": "luna", "status": "failed"},
        ],
        "jobs": [
            {
                **job,
                "id": WAITING,
                "model_id": MODEL,
                "interaction_id": 1,
                "request": request(),
                "state": "accepted",
                "last_seq": -1,
            },
            {
                **job,
                "id": OLD,
                "model_id": OTHER_MODEL,
                "interaction_id": 2,
                "request": request(),
                "state": "failed",
                "last_seq": 5,
                "failure": "diverged",
                "finished_at": at,
            },
        ],
        "charges": [
            {"job_id": WAITING, "owner_id": ANN, "kind": "train", "amount": 1, "at": at, "refunded_at": None},
            {"job_id": OLD, "owner_id": ANN, "kind": "train", "amount": 1, "at": at, "refunded_at": at},
        ],
        "deliveries": [
            {
                **delivery,
                "job_id": WAITING,
                "state": "pending",
                "dirty": revision >= MESSAGES_WAIT_DIRTY,
                "message_id": None,
            },
            {**delivery, "job_id": OLD, "state": "sent", "dirty": False, "message_id": 77},
        ],
        "outbox": [
            {
                "job_id": WAITING,
                "attempt": 1,
                "queue": queue_name(JobKind.TRAIN, BASE),
                "request": request(),
                "created_at": at,
            }
        ],
        "inbox": [{"event_id": f"{OLD}:1:5", "at": at}],
    }


def request() -> dict[str, Any]:
    new = new_training(job=WAITING, model=MODEL)
    return TrainRequest(
        job=new.job,
        attempt=1,
        model=new.model,
        base=new.base,
        identifier="sks",
        class_noun=new.class_noun,
        subject_kind=new.subject_kind,
        quality=new.quality,
        photos=tuple(photo.key for photo in new.photos),
        seed=new.seed,
    ).model_dump(mode="json")


VERSIONS = "0012"
"""From here on every training of a model is a version of its own."""


async def test_what_a_model_could_draw_with_is_its_first_version(tmp_path: Path) -> None:
    path, before = tmp_path / "old.db", REVISIONS[REVISIONS.index(VERSIONS) - 1]
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    files = {"adapter_key": "models/a", "adapter_digest": "0" * 64, "adapter_bytes": 9, "download_key": "models/b"}
    files |= {"download_digest": "1" * 64, "cover_key": None, "subject_score": 0.8, "findings": None}
    at = NOW.replace(tzinfo=None)
    with engine.begin() as connection:
        upgrade(connection, before)
        rows = old_rows(before)
        models = [{**row, **files, "status": "ready", "version": 1, "variant": "best"} for row in rows["models"]]
        models[1] |= {"adapter_key": "models/free", "variant": "free"}
        rows["models"] = models
        rows["jobs"] = [{**row, "state": "succeeded", "steps": 300, "finished_at": at} for row in rows["jobs"]]
        rows["variants"] = [
            {**files, "model_id": OTHER_MODEL, "variant": variant, "adapter_key": f"models/{variant}"}
            for variant in ("best", "free")
        ]
        tables = MetaData()
        tables.reflect(connection)
        for name in ("owners", "models", "jobs", "variants"):
            for row in rows[name]:
                connection.execute(tables.tables[name].insert(), row)
    engine.dispose()

    async with await Database.open(f"sqlite:///{path}") as database, database.write() as session:
        for model_id, job_id, has in ((MODEL, WAITING, []), (OTHER_MODEL, OLD, [Variant.BEST, Variant.FREE])):
            model = await session.get_one(Model, model_id)
            (version,) = await versions(session, model_id)
            assert (version.number, version.score, version.steps, version.photos) == (1, 0.8, 300, 3)
            assert await choices(session, model_id) == has
            assert await training_in_use(session, model) == job_id
        luna = await session.get_one(Model, OTHER_MODEL)
        await use_variant(session, luna, Variant.BEST)
        assert luna.adapter_key == "models/best"
