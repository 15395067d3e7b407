"""A model that is erased, and with it everything made from it."""

from datetime import datetime

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.companions import forget_words
from storage.deliveries import touch_card
from storage.errors import ModelNotFound
from storage.leftovers import brought_with, strike_prompt
from storage.models import draws_with
from storage.outcomes import stop_job
from storage.schema import Image, Job, Model, Photo
from storage.sharing import end_shares
from storage.variants import delete_variants

DELETED_NAME = "(deleted)"
"""Stands where the name stood; no model can be called so."""


async def delete_model(session: AsyncSession, model_id: str, owner_id: int, at: datetime) -> list[str]:
    """Forget the model and everything made from it; return the keys of the blobs to delete after the commit.

    A training that still runs is asked to stop. What the caller does not come to delete, the sweep of orphans finds.
    Also one that its owner could still take back. Raises `ModelNotFound`.
    """
    kept = or_(Model.deleted_at.is_(None), Model.erase_at.is_not(None))
    query = select(Model).where(Model.id == model_id, Model.owner_id == owner_id, kept).with_for_update()
    model = (await session.scalars(query)).one_or_none()
    if model is None:
        raise ModelNotFound
    keys = [key for key in (model.adapter_key, model.download_key, model.cover_key) if key is not None]
    for table in (Photo, Image):
        keys += await session.scalars(delete(table).where(table.model_id == model.id).returning(table.key))
    drawn_by = select(Job.id).where(draws_with(model.id))
    keys += await session.scalars(delete(Image).where(Image.job_id.in_(drawn_by)).returning(Image.key))
    keys += await delete_variants(session, model.id)
    jobs = (await session.scalars(select(Job).where(draws_with(model.id)).with_for_update())).all()
    for job in jobs:
        if job.sample_key is not None:
            keys.append(job.sample_key)
            job.sample_key = None
            await touch_card(session, job.id, at, at_once=True)
        if not job.state.ended:
            await stop_job(session, job, at)
        keys += brought_with(job)
        strike_prompt(job)
    await forget_words(session, [job.id for job in jobs])
    model.adapter_key = model.adapter_digest = model.download_key = model.download_digest = model.cover_key = None
    await end_shares(session, model)
    model.shared_guild_id = model.public_at = model.erase_at = None
    model.deleted_at = at
    model.name, model.name_key = DELETED_NAME, ""
    return sorted(set(keys))
