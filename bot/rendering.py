"""From rows and blobs to what Discord shows of a job."""

import asyncio
import logging
from collections.abc import Sequence

import discord
from sqlalchemy.ext.asyncio import AsyncSession

from bot.language import spoken
from bot.services import Services
from bot.uploads import FILE_BYTES, as_file, share_of
from bot.views import dataset_card, picture_card, story_card, training_card
from bot.views.picture_card import MAX_GALLERY, Around
from bot.views.rendered import Rendered
from storage.contract import JobKind
from storage.errors import BlobMissing
from storage.history import message_of
from storage.jobs import pictures_of, queue_place
from storage.models import model_of, second_model_of
from storage.schema import ACTIVE, WAITING, DeliveryKind, Image, Job, Model, SetKind
from storage.sets import best_of_each, members, pictures_of_set, set_of

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


async def render_card(services: Services, job_id: str, limit: int = FILE_BYTES, page: int = 0) -> Rendered:
    """Render the card as the rows stand now; no file is larger than `limit` bytes. Stories are shown by the page."""
    async with services.database.read() as session:
        job = await session.get_one(Job, job_id)
        model = await model_of(session, job)
        place = await queue_place(session, job)
    with spoken(job.locale):
        return await _render_card(services, job, model, place, limit, page)


async def _render_card(
    services: Services, job: Job, model: Model | None, place: int, limit: int, page: int
) -> Rendered:
    alive = job.state not in WAITING or await services.queue.worker_alive(job.base)
    if job.kind is JobKind.TRAIN:
        assert model is not None  # noqa: S101 -- a training always has its model
        keys = [job.sample_key] if job.sample_key is not None and job.state in ACTIVE else []
        samples = await load(services, keys, "sample", limit)
        sample = samples[0] if samples else None
        card = training_card.render(job, model, place=place, worker_alive=alive, sample=sample)
        return marked(card, job.id, DeliveryKind.CARD)
    async with services.database.read() as session:
        around, images = await _around(session, job)
    if around.kind is SetKind.STORYBOOK and images and all(each.state.ended for each in around.jobs):
        pages = best_of_each(images)
        page = min(page, len(pages) - 1)
        (*files,) = await load(services, [pages[page].key], f"page-{page + 1}", limit, spoiler=job.spoiler)
        story = story_card.render(around, pages, page, files[0] if files else None)
        return marked(story, job.id, DeliveryKind.CARD)
    if around.kind is SetKind.DATASET:
        files = await load(services, [image.key for image in dataset_card.shown_of(images)], "picture", limit)
        card = dataset_card.render(around, images, files, place=place, worker_alive=alive)
        return marked(card, job.id, DeliveryKind.CARD)
    shown = images[:MAX_GALLERY]
    files = await load(services, [image.key for image in shown], "picture", limit, spoiler=job.spoiler)
    card = picture_card.render(job, model, images, files, place=place, worker_alive=alive, around=around)
    return marked(card, job.id, DeliveryKind.CARD)


async def _around(session: AsyncSession, job: Job) -> tuple[Around, Sequence[Image]]:
    """Return what belongs to the card of pictures beside its job, and all that was drawn so far."""
    together = await set_of(session, job.id)
    parent = None if job.parent_id is None else await message_of(session, job.parent_id)
    address = None if parent is None else parent.address
    jobs = [job] if together is None else await members(session, job.id)
    seconds = {each.id: second for each in jobs if (second := await second_model_of(session, each)) is not None}
    if together is None:
        return Around(parent=address, seconds=seconds), await pictures_of(session, job.id)
    with_models = {each.model_id: each for each in jobs if each.model_id is not None}
    models = {model_id: await model_of(session, each) for model_id, each in with_models.items()}
    known = {model_id: model for model_id, model in models.items() if model is not None}
    around = Around(jobs=jobs, models=known, seconds=seconds, words=together.words, kind=together.kind, parent=address)
    return around, await pictures_of_set(session, jobs)


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
