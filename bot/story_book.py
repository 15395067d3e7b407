"""Bind a finished story as a PDF."""

import asyncio

from bot.language import N_
from bot.services import Services
from bot.stories import as_pdf
from bot.views.story_card import pages_of
from storage.errors import PicturesGone
from storage.schema import Job
from storage.sets import best_of_each, members, pictures_of_set, set_of

FILE_NAME = "story.pdf"
BY = N_("Made with Dreambot. The pictures are AI-made.")


async def bind(services: Services, job_id: str) -> tuple[str, bytes]:
    """Return a file name and the book. Raises `PicturesGone`."""
    async with services.database.read() as session:
        together = await set_of(session, job_id)
        jobs = [] if await session.get(Job, job_id) is None else await members(session, job_id)
        images = best_of_each(await pictures_of_set(session, jobs))
    if together is None or together.words is None or not images:
        raise PicturesGone
    pages = [(scene, await services.blobs.get(key)) for scene, key in pages_of(jobs, images)]
    return FILE_NAME, await asyncio.to_thread(as_pdf, together.words, pages, str(BY))
