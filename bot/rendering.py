"""From rows and blobs to what Discord shows of a job."""

import asyncio
import logging
from collections.abc import Sequence

import discord

from bot.services import Services
from bot.uploads import FILE_BYTES, as_file, share_of
from bot.views import picture_card, training_card
from bot.views.rendered import Rendered
from storage.contract import JobKind
from storage.errors import BlobMissing
from storage.jobs import pictures_of, queue_place
from storage.models import model_of
from storage.schema import ACTIVE, WAITING, DeliveryKind, Job

log = logging.getLogger(__name__)


def mark_of(job_id: str, kind: DeliveryKind) -> int:
    """Return the number that a job's message carries as the id of its outermost component.

    Discord numbers what has no id from 1 on, and takes any positive 32-bit number; these lie far above its own.
    """
    return 1 << 30 | int(job_id[:7], 16) << 1 | (kind is DeliveryKind.RESULT)


def marked(rendered: Rendered, job_id: str, kind: DeliveryKind) -> Rendered:
    """Put the mark on a message."""
    rendered.view.children[0].id = mark_of(job_id, kind)
    return rendered


def carries(message: discord.Message, mark: int) -> bool:
    return any(isinstance(part, discord.Container) and part.id == mark for part in message.components)


async def render_card(services: Services, job_id: str, limit: int = FILE_BYTES) -> Rendered:
    """Render the card as the rows stand now; no file is larger than `limit` bytes."""
    async with services.database.read() as session:
        job = await session.get_one(Job, job_id)
        model = await model_of(session, job)
        place = await queue_place(session, job)
        images = await pictures_of(session, job.id)
    alive = job.state not in WAITING or await services.queue.worker_alive(job.base)
    if job.kind is JobKind.TRAIN:
        assert model is not None  # noqa: S101 -- a training always has its model
        keys = [job.sample_key] if job.sample_key is not None and job.state in ACTIVE else []
        samples = await load(services, keys, "sample", limit)
        sample = samples[0] if samples else None
        card = training_card.render(job, model, place=place, worker_alive=alive, sample=sample)
        return marked(card, job.id, DeliveryKind.CARD)
    files = await load(services, [image.key for image in images], "picture", limit, spoiler=job.spoiler)
    card = picture_card.render(job, model, images, files, place=place, worker_alive=alive)
    return marked(card, job.id, DeliveryKind.CARD)


async def load(
    services: Services, keys: Sequence[str], stem: str, limit: int, *, spoiler: bool = False
) -> list[discord.File]:
    """Fetch pictures as uploads; one that is deleted meanwhile, or is no picture, is left out."""
    files = []
    for number, key in enumerate(keys, start=1):
        try:
            picture = await services.blobs.get(key)
            files.append(
                await asyncio.to_thread(
                    as_file, f"{stem}-{number}", picture, share_of(len(keys), limit), spoiler=spoiler
                )
            )
        except (BlobMissing, ValueError) as error:
            log.warning("picture %s left out: %s", key, type(error).__name__)
    return files
