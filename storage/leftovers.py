"""Which bytes and rows nobody needs any more."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.schema import ACTIVE, Image, InboxEntry, Job, Model, Photo


async def unreferenced(session: AsyncSession, keys: Collection[str]) -> list[str]:
    """Return those of the blob keys that no row points at and that belong to no active job."""
    parts = {part for key in keys for part in key.split("/")}
    active = set(await session.scalars(select(Job.id).where(Job.id.in_(parts), Job.state.in_(ACTIVE))))
    known: set[str] = set()
    for column in (Photo.key, Image.key, Job.sample_key, Model.adapter_key, Model.download_key, Model.cover_key):
        known.update(key for key in await session.scalars(select(column).where(column.in_(keys))) if key is not None)
    return [key for key in keys if key not in known and active.isdisjoint(key.split("/"))]


async def expired_photos(session: AsyncSession, ended_before: datetime, limit: int) -> Sequence[Photo]:
    """Return photos of trainings that ended before the time; they have done their work."""
    query = select(Photo).join(Job, Job.id == Photo.job_id).where(Job.finished_at <= ended_before)
    return (await session.scalars(query.order_by(Photo.id).limit(limit))).all()


async def forget_photos(session: AsyncSession, ids: Collection[int]) -> None:
    await session.execute(delete(Photo).where(Photo.id.in_(ids)))


async def prune_inbox(session: AsyncSession, before: datetime) -> None:
    """Forget events that are too old to come again."""
    await session.execute(delete(InboxEntry).where(InboxEntry.at < before))
