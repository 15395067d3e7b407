"""What a model can draw with: each training's best candidate, and those that are more like the subject, or freer.

Every training of a model makes a version. The model's own row holds what is in use, its files and what its training was
told, so that whoever draws or downloads need not know of others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import Adapter, Publication, Trained, TrainRequest, Variant
from storage.errors import ModelNotFound
from storage.schema import Image, Job, Model, ModelVariant

FILES = (
    "adapter_key", "adapter_digest", "adapter_bytes", "download_key", "download_digest", "cover_key", "subject_score",
    "findings",
)  # fmt: skip


MOST_VERSIONS = 3
"""How many trainings of a model are kept."""


@dataclass(frozen=True, kw_only=True)
class Version:
    number: int
    score: float | None
    steps: int | None
    photos: int
    made_at: datetime | None


def variants_of(model_id: str, version: int, job_id: str, trained: Trained) -> Iterator[ModelVariant]:
    """Yield rows for the best of a training and its runners-up."""
    for variant, made in ((Variant.BEST, trained), *((each.variant, each) for each in trained.runners_up)):
        yield _row(model_id, version, job_id, variant, made)


def _row(model_id: str, version: int, job_id: str, variant: Variant, made: Publication) -> ModelVariant:
    return ModelVariant(
        model_id=model_id,
        version=version,
        variant=variant,
        job_id=job_id,
        adapter_key=made.adapter.key,
        adapter_digest=made.adapter.digest,
        adapter_bytes=made.adapter_bytes,
        download_key=made.download,
        download_digest=made.download_digest,
        cover_key=made.samples[0].key if made.samples else None,
        subject_score=made.subject_score,
        findings=None if made.findings is None else made.findings.model_dump(),
    )


def take_up(model: Model, row: ModelVariant) -> None:
    """Let the model draw with this variant of this version."""
    model.version, model.variant = row.version, row.variant
    for name in FILES:
        setattr(model, name, getattr(row, name))


async def publish(session: AsyncSession, model: Model, job: Job, trained: Trained) -> None:
    """Let the model draw with what the job has trained; the oldest of too many versions goes."""
    number = next_version(await versions(session, model.id))
    rows = list(variants_of(model.id, number, job.id, trained))
    session.add_all(rows)
    _learn_from(model, job)
    take_up(model, rows[0])
    await session.flush()
    await _drop_the_oldest(session, model)


async def use_variant(session: AsyncSession, model: Model, variant: Variant) -> None:
    """Let the model, which the transaction holds, draw with another variant. Raises `ModelNotFound`."""
    row = await session.get(ModelVariant, (model.id, model.version, variant))
    if row is None:
        raise ModelNotFound
    take_up(model, row)


async def use_version(session: AsyncSession, model: Model, number: int) -> None:
    """Let the model, which the transaction holds, draw with the best of another training. Raises `ModelNotFound`."""
    row = await session.get(ModelVariant, (model.id, number, Variant.BEST))
    if row is None:
        raise ModelNotFound
    job = await session.get_one(Job, row.job_id)
    _learn_from(model, job)
    take_up(model, row)


async def choices(session: AsyncSession, model_id: str) -> Sequence[Variant]:
    """Return the variants of the version in use, in the order of `Variant`; none where there is no choice."""
    in_use = and_(Model.id == ModelVariant.model_id, Model.version == ModelVariant.version)
    found = await session.scalars(select(ModelVariant.variant).join(Model, in_use).where(Model.id == model_id))
    variants = sorted(found, key=list(Variant).index)
    return variants if len(variants) > 1 else []


async def versions(session: AsyncSession, model_id: str) -> Sequence[Version]:
    """Return the trainings that are kept, the newest first."""
    query = select(ModelVariant, Job).join(Job, Job.id == ModelVariant.job_id)
    query = query.where(ModelVariant.model_id == model_id, ModelVariant.variant == Variant.BEST)
    return [
        Version(
            number=row.version,
            score=row.subject_score,
            steps=job.steps,
            photos=len(job.request["photos"]),
            made_at=job.finished_at,
        )
        for row, job in await session.execute(query.order_by(ModelVariant.version.desc()))
    ]


def next_version(kept: Sequence[Version]) -> int:
    """Return the number of the version after those that are kept, the newest first."""
    return kept[0].number + 1 if kept else 1


async def training_in_use(session: AsyncSession, model: Model) -> str | None:
    """Return the job that made the version that the model draws with."""
    row = await session.get(ModelVariant, (model.id, model.version, Variant.BEST))
    return None if row is None else row.job_id


async def version_of(session: AsyncSession, job_id: str) -> int | None:
    """Return the version that a training made; None when it made none, or that one is gone."""
    query = select(ModelVariant.version).where(ModelVariant.job_id == job_id, ModelVariant.variant == Variant.BEST)
    return (await session.scalars(query)).one_or_none()


async def drawn_with(session: AsyncSession, adapter: Adapter) -> tuple[int, Variant] | None:
    """Return which version and variant of its model an adapter is; None when that one is gone."""
    query = select(ModelVariant.version, ModelVariant.variant)
    found = await session.execute(
        query.where(ModelVariant.model_id == adapter.model, ModelVariant.adapter_key == adapter.key)
    )
    row = found.one_or_none()
    return None if row is None else (row[0], row[1])


async def delete_variants(session: AsyncSession, model_id: str) -> list[str]:
    """Forget what the model could draw with; return the keys of the blobs to delete after the commit."""
    keys = ModelVariant.adapter_key, ModelVariant.download_key, ModelVariant.cover_key
    gone = await session.execute(delete(ModelVariant).where(ModelVariant.model_id == model_id).returning(*keys))
    return [key for row in gone for key in row if key is not None]


def _learn_from(model: Model, job: Job) -> None:
    """Note of the model what the training was told."""
    request = TrainRequest.model_validate(job.request)
    model.class_noun, model.subject_kind = request.class_noun, request.subject_kind
    model.photo_count = len(request.photos)
    model.photo_flaws, model.trained_at = job.photo_flaws, job.finished_at


async def _drop_the_oldest(session: AsyncSession, model: Model) -> None:
    """Forget the oldest versions and their samples; the sweep of orphans deletes their blobs."""
    kept = [version.number for version in await versions(session, model.id)]
    old = ModelVariant.model_id == model.id, ModelVariant.version.in_(kept[MOST_VERSIONS:])
    jobs = await session.scalars(delete(ModelVariant).where(*old).returning(ModelVariant.job_id))
    await session.execute(delete(Image).where(Image.job_id.in_(set(jobs))))
