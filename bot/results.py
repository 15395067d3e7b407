"""The message at the end of a training: the one that mentions the person who asked."""

from collections.abc import Iterator
from typing import Any

from discord import ui

from bot.rendering import load, marked
from bot.services import Services
from bot.uploads import FILE_BYTES, MAX_FILES
from bot.views import training_card
from bot.views.download import DownloadButton
from bot.views.imagine_form import ImagineButton
from bot.views.rendered import Rendered
from bot.views.share_button import ShareButton
from storage.jobs import pictures_of
from storage.schema import DeliveryKind, Job, JobState, Model


async def render_result(services: Services, job_id: str, limit: int = FILE_BYTES) -> Rendered:
    """Render it as the rows stand now; no file is larger than `limit` bytes."""
    async with services.database.read() as session:
        job = await session.get_one(Job, job_id)
        model = await session.get_one(Model, job.model_id)
        images = await pictures_of(session, job.id)
    samples = await load(services, [image.key for image in images[:MAX_FILES]], "sample", limit)
    result = training_card.render_result(job, model, samples, list(_buttons(job, model)))
    return marked(result, job.id, DeliveryKind.RESULT)


def _buttons(job: Job, model: Model) -> Iterator[ui.Item[Any]]:
    if job.state is JobState.SUCCEEDED and model.deleted_at is None:
        yield ImagineButton(model.id)
        yield DownloadButton(model.id)
        if job.guild_id is not None:
            yield ShareButton(model.id)
