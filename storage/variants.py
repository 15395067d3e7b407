"""What a model can draw with: the candidate that was published, and those that are more like the subject, or freer.

The model's own row holds the files of the variant in use, so that whoever draws or downloads need not know of others.
"""

from collections.abc import Iterator, Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import Publication, Trained, Variant
from storage.errors import ModelNotFound
from storage.schema import Model, ModelVariant

FILES = (
    "adapter_key", "adapter_digest", "adapter_bytes", "download_key", "download_digest", "cover_key", "subject_score",
    "findings",
)  # fmt: skip


def variant_row(model_id: str, variant: Variant, made: Publication) -> ModelVariant:
    return ModelVariant(
        model_id=model_id,
        variant=variant,
        adapter_key=made.adapter.key,
        adapter_digest=made.adapter.digest,
        adapter_bytes=made.adapter_bytes,
        download_key=made.download,
        download_digest=made.download_digest,
        cover_key=made.samples[0].key if made.samples else None,
        subject_score=made.subject_score,
        findings=None if made.findings is None else made.findings.model_dump(),
    )


def variants_of(model_id: str, trained: Trained) -> Iterator[ModelVariant]:
    """Yield rows for the best and its runners-up; none where there is no choice."""
    if trained.runners_up:
        yield variant_row(model_id, Variant.BEST, trained)
        for each in trained.runners_up:
            yield variant_row(model_id, each.variant, each)


def take_up(model: Model, row: ModelVariant) -> None:
    """Let the model draw with this variant."""
    model.variant = row.variant
    for name in FILES:
        setattr(model, name, getattr(row, name))


async def use_variant(session: AsyncSession, model: Model, variant: Variant) -> None:
    """Let the model, which the transaction holds, draw with another variant. Raises `ModelNotFound`."""
    row = await session.get(ModelVariant, (model.id, variant))
    if row is None:
        raise ModelNotFound
    take_up(model, row)


async def choices(session: AsyncSession, model_id: str) -> Sequence[Variant]:
    """Return the variants that the model has, in the order of `Variant`; none where there is no choice."""
    found = await session.scalars(select(ModelVariant.variant).where(ModelVariant.model_id == model_id))
    return sorted(found, key=list(Variant).index)


async def delete_variants(session: AsyncSession, model_id: str) -> list[str]:
    """Forget what the model could draw with; return the keys of the blobs to delete after the commit."""
    keys = ModelVariant.adapter_key, ModelVariant.download_key, ModelVariant.cover_key
    gone = await session.execute(delete(ModelVariant).where(ModelVariant.model_id == model_id).returning(*keys))
    return [key for row in gone for key in row if key is not None]
