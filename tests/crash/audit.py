"""What has to be true, whatever died: one outcome, one message of each kind, nothing left over, nothing missing."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from hashlib import sha256

from sqlalchemy import select

import bot.reconcile
from bot.outbox import Outbox
from bot.reconcile import SWEPT, Reconciler
from bot.services import utc_now
from storage.contract import JobKind
from storage.errors import BlobMissing
from storage.quotas import recount
from storage.redis_client import connection_pool
from storage.schema import (
    Delivery,
    DeliveryKind,
    DeliveryState,
    Draft,
    Image,
    Job,
    JobState,
    Model,
    ModelVariant,
    OutboxEntry,
    Photo,
)
from tests.crash.house import House

KEY = re.compile(r"[a-z0-9_-]+(/[a-z0-9_-][a-z0-9_.-]*)+")


async def audit_jobs(house: House, jobs: Sequence[Job]) -> list[str]:
    """Return what is wrong with these jobs, which have ended, while the house goes on."""
    messages = [message for message in await house.messages() if message["showed"] and not message["ephemeral"]]
    problems: list[str] = []
    async with house.database.read() as session:
        for known in jobs:
            job = await session.get_one(Job, known.id)
            deliveries = (await session.scalars(select(Delivery).where(Delivery.job_id == job.id))).all()
            images = (await session.scalars(select(Image).where(Image.job_id == job.id))).all()
            model = await session.get(Model, job.model_id) if job.model_id else None
            shown = {int(message["id"]) for message in messages if message["channel"] == str(job.channel_id)}
            found = [*_outcome(job, deliveries, shown), *_fence(job, model, images)]
            problems += [f"{job.kind.value} {job.id}: {problem}" for problem in found]
    ids = {job.id for job in jobs}
    return problems + list(_checkpoints(step for step in house.steps() if step[0] in ids))


async def audit_house(house: House) -> list[str]:
    """Return what is wrong with everything, once no process runs any more and the hourly sweep has passed."""
    redis = connection_pool("redis://127.0.0.1:1/0", patient=False)
    outbox = Outbox(house.database, redis, utc_now)
    sweeper = Reconciler(
        house.database, house.blobs, redis, outbox, utc_now, lease=timedelta(0), photo_retention=timedelta(0)
    )
    bot.reconcile.ORPHAN_AGE = timedelta(0)
    await sweeper.drop_photos()
    await sweeper.sweep()
    async with house.database.read() as session:
        jobs = (await session.scalars(select(Job))).all()
        unsent = (await session.scalars(select(OutboxEntry).where(OutboxEntry.sent_at.is_(None)))).all()
        quotas = await recount(session)
    problems = [f"the outbox still holds {entry.job_id}" for entry in unsent]
    problems += [f"the quota is wrong: {mismatch}" for mismatch in quotas]
    twice = [known for known, count in Counter(job.interaction_id for job in jobs).items() if count > 1]
    problems += [f"an interaction made two jobs: {interaction}" for interaction in twice]
    return problems + await _blobs(house)


def _outcome(job: Job, deliveries: Sequence[Delivery], shown: set[int]) -> Iterator[str]:
    if not job.state.ended:
        yield f"lost: it is {job.state.value}"
    wanted = {DeliveryKind.CARD: 1}
    if job.kind is JobKind.TRAIN and job.state in {JobState.SUCCEEDED, JobState.FAILED}:
        wanted[DeliveryKind.RESULT] = 1
    if (found := Counter(row.kind for row in deliveries)) != wanted:
        yield f"deliveries are {dict(found)}"
    for row in deliveries:
        if row.state is not DeliveryState.SENT or row.dirty:
            yield f"its {row.kind.value} is {row.state.value}{' and stale' if row.dirty else ''}"
    noted = {row.message_id for row in deliveries if row.message_id is not None}
    if len(shown) > len(deliveries):
        yield f"doubled: {len(shown)} messages for {len(deliveries)} deliveries"
    elif shown != noted:
        yield f"lost: Discord shows {sorted(shown)}, the rows say {sorted(noted)}"


def _fence(job: Job, model: Model | None, images: Sequence[Image]) -> Iterator[str]:
    """What is published comes from the attempt that the rows know as the last."""
    keys = [image.key for image in images]
    if job.kind is JobKind.TRAIN and model is not None and model.adapter_key is not None:
        keys.append(model.adapter_key)
    for key in keys:
        if str(job.attempt) not in key.split("/"):
            yield f"unfenced: {key} is published in attempt {job.attempt}"


def _checkpoints(steps: Iterator[tuple[str, str, int]]) -> Iterator[str]:
    """A training that begins again begins at the newest step that was told to be saved, or later."""
    saved: Counter[str] = Counter()
    for job, what, step in steps:
        if what == "saved":
            saved[job] = max(saved[job], step)
        if what == "begin" and step < saved[job]:
            yield f"train {job}: went back to step {step} though {saved[job]} was saved"


async def _blobs(house: House) -> list[str]:
    """Compare rows and blobs both ways."""
    named: dict[str, str | None] = {}
    async with house.database.read() as session:
        named |= dict.fromkeys(await session.scalars(select(Photo.key)))
        named |= dict.fromkeys(await session.scalars(select(Image.key)))
        for model in await session.scalars(select(Model)):
            of_model = {model.adapter_key: model.adapter_digest, model.download_key: model.download_digest}
            named |= {key: digest for key, digest in of_model.items() if key is not None and model.deleted_at is None}
        for row in await session.scalars(select(ModelVariant)):
            named |= {row.adapter_key: row.adapter_digest, row.download_key: row.download_digest}
        samples = set(await session.scalars(select(Job.sample_key)))
        samples |= set(await session.scalars(select(Model.cover_key)))
        drafts = set(await session.scalars(select(Draft.id)))
    problems = [problem for key, digest in named.items() async for problem in _missing(house, key, digest)]
    stored = {key for prefix in SWEPT for key in await house.blobs.list(prefix)}
    orphans = [key for key in stored - named.keys() - samples if drafts.isdisjoint(key.split("/"))]
    problems += [f"orphan: {key}" for key in sorted(orphans)]
    root = house.folder / "blobs"
    files = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    return problems + [f"orphan: a file {name} that is no blob" for name in files if not KEY.fullmatch(name)]


async def _missing(house: House, key: str, digest: str | None) -> AsyncIterator[str]:
    try:
        data = await house.blobs.get(key)
    except BlobMissing:
        yield f"missing: {key}"
        return
    if digest is not None and sha256(data).hexdigest() != digest:
        yield f"damaged: {key}"
