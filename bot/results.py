"""The message at the end of a training: the one that mentions the person who asked."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import discord
from discord import ui

from bot.acknowledging import acknowledge
from bot.language import spoken
from bot.rendering import load, marked
from bot.services import Services
from bot.uploads import FILE_BYTES, MAX_FILES
from bot.views import training_card
from bot.views.class_buttons import class_row
from bot.views.download import DownloadButton
from bot.views.imagine_form import ImagineButton
from bot.views.rendered import Rendered
from bot.views.share_button import ShareButton
from bot.views.train_again import TrainAgainButton
from bot.views.variant_button import variant_row
from storage.class_questions import is_open
from storage.contract import Variant
from storage.jobs import pictures_of
from storage.schema import DeliveryKind, Job, JobState, Model
from storage.variants import choices, training_in_use, version_of

if TYPE_CHECKING:
    from bot.app import Dreambot


async def render_result(services: Services, job_id: str, limit: int = FILE_BYTES) -> Rendered:
    """Render it as the rows stand now; no file is larger than `limit` bytes."""
    async with services.database.read() as session:
        job = await session.get_one(Job, job_id)
        model = await session.get_one(Model, job.model_id)
        version = await version_of(session, job.id)
        in_use = version == model.version
        images = await pictures_of(session, job.id, model.variant if in_use else Variant.BEST)
        variants = await choices(session, model.id)
        asks = await is_open(session, job, services.clock())
    if job.state is JobState.SUCCEEDED:
        services.expect(model)  # its button invites to draw with it
    samples = await load(services, [image.key for image in images[:MAX_FILES]], "sample", limit)
    with spoken(job.locale):
        if asks:
            return marked(training_card.render_question(job, model, class_row(job)), job.id, DeliveryKind.RESULT)
        rows = [ui.ActionRow(*_buttons(job, model)), variant_row(model, variants) if in_use else None]
        shown = [row for row in rows if row and row.children]
        result = training_card.render_result(job, model, samples, shown, version=version or 1)
    return marked(result, job.id, DeliveryKind.RESULT)


async def show_result(interaction: "discord.Interaction[Dreambot]", model_id: str) -> None:
    """Show a model's result anew where somebody has pressed a button of it."""
    await acknowledge(interaction)
    async with interaction.client.services.database.read() as session:
        training = await training_in_use(session, await session.get_one(Model, model_id))
    if training is not None:
        await show_result_of(interaction, training)


async def show_result_of(interaction: "discord.Interaction[Dreambot]", job_id: str) -> None:
    """Show a training's result anew where it stands; the press must be acknowledged."""
    card = await render_result(interaction.client.services, job_id)
    nobody = discord.AllowedMentions.none()
    await interaction.edit_original_response(view=card.view, attachments=card.files, allowed_mentions=nobody)


def _buttons(job: Job, model: Model) -> Iterator[ui.Item[Any]]:
    if job.state is JobState.SUCCEEDED and model.deleted_at is None:
        yield ImagineButton(model.id)
        yield DownloadButton(model.id)
        if job.guild_id is not None:
            yield ShareButton(model.id)
        yield TrainAgainButton(model.id)
