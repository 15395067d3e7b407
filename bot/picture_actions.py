"""What the buttons under pictures do. Each press asks anew who presses, and reads from the rows what it is about."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import discord
from discord import ui
from sqlalchemy.ext.asyncio import AsyncSession

from bot.access import check_may_delete, own_model
from bot.acknowledging import acknowledge
from bot.drawing_again import adapters_of, draw_again
from bot.markup import bold
from bot.model_text import COVER_SET, WHICH_COVER
from bot.rendering import load
from bot.replies import reply
from bot.reworking import Work, begin, work_on
from bot.uploads import FILE_BYTES
from bot.views import picture_details
from bot.views.edit_form import EditForm
from bot.views.picture_buttons import CoverMenu, Verb
from bot.views.report_form import ReportForm
from bot.views.rework_forms import AroundForm, PartForm
from bot.views.way_buttons import Way, render_ways
from storage.contract import ImagineRequest
from storage.deliveries import touch_card_elsewhere
from storage.errors import NotYourJob, PicturesGone, PromptGone
from storage.history import message_of
from storage.jobs import find_job
from storage.models import cover_key
from storage.schema import Job, Model
from storage.sets import forget_card, members, pictures_of_set, set_of
from storage.variants import drawn_with

if TYPE_CHECKING:
    from bot.app import Dreambot

    Interaction = discord.Interaction[Dreambot]


async def _again(interaction: "Interaction", job_id: str) -> None:
    await draw_again(interaction, job_id)


async def _same(interaction: "Interaction", job_id: str) -> None:
    await draw_again(interaction, job_id, same_seed=True)


async def _best(interaction: "Interaction", job_id: str) -> None:
    await draw_again(interaction, job_id, same_seed=True, best=True)


async def _part(interaction: "Interaction", job_id: str, position: int) -> None:
    await PartForm(job_id, position, await begin(interaction, job_id, position)).open(interaction)


async def _around(interaction: "Interaction", job_id: str, position: int) -> None:
    await AroundForm(job_id, position, await begin(interaction, job_id, position)).open(interaction)


async def offer_ways(interaction: "Interaction", job_id: str, position: int) -> None:
    """Ask the presser what shall become of a picture, counted from 0. Raises `PicturesGone`."""
    services = interaction.client.services
    await acknowledge(interaction, ephemeral=True, thinking=True)
    async with services.database.read() as session:
        job, images = await find_job(session, job_id), await pictures_of_set(session, await members(session, job_id))
    if job is None or position >= len(images):
        raise PicturesGone
    files = await load(services, [images[position].key], "picture", FILE_BYTES, spoiler=job.spoiler)
    ways = render_ways(job, images[position], position, files)
    await interaction.edit_original_response(view=ways.view, attachments=ways.files)


async def _edit(interaction: "Interaction", job_id: str) -> None:
    await (await EditForm.of(interaction, job_id)).open(interaction)


async def _report(interaction: "Interaction", job_id: str) -> None:
    await ReportForm(job_id).open(interaction)


async def _details(interaction: "Interaction", job_id: str) -> None:
    async with interaction.client.services.database.read() as session:
        job = await session.get(Job, job_id)
        if job is None:
            raise NotYourJob
        if job.prompt_shown is None:
            raise PromptGone
        jobs = await members(session, job_id)
        parent = None if job.parent_id is None else await message_of(session, job.parent_id)
        facts = picture_details.Facts(
            jobs=jobs,
            models=await _drawn_by(session, jobs),
            images=await pictures_of_set(session, jobs),
            words=None if (together := await set_of(session, job_id)) is None else together.words,
            parent=parent,
        )
    await interaction.response.send_message(view=picture_details.render(facts), ephemeral=True)


async def _drawn_by(session: AsyncSession, jobs: Sequence[Job]) -> list[picture_details.DrawnBy]:
    """Return the models that jobs asked for, as they were then."""
    asked = [adapter for job in jobs for adapter in adapters_of(ImagineRequest.model_validate(job.request))]
    return [
        picture_details.DrawnBy(model, await drawn_with(session, adapter))
        for adapter in dict.fromkeys(asked)
        if (model := await session.get(Model, adapter.model)) is not None
    ]


async def _cover(interaction: "Interaction", job_id: str) -> None:
    async with interaction.client.services.database.read() as session:
        images = await pictures_of_set(session, await members(session, job_id))
    if len(images) == 1:
        await make_cover(interaction, job_id, 0)
        return
    if not images:
        raise PicturesGone
    await _check_owns_model(interaction, images[0].job_id)
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.TextDisplay(str(WHICH_COVER)))
    view.add_item(ui.ActionRow(CoverMenu(job_id, len(images))))
    await interaction.response.send_message(view=view, ephemeral=True)


async def make_cover(interaction: "Interaction", job_id: str, position: int) -> None:
    """Let a picture, counted from 0, stand for its model. Raises `PicturesGone`, `NotYourModel`."""
    services = interaction.client.services
    async with services.database.read() as session:
        images = await pictures_of_set(session, await members(session, job_id))
    if position >= len(images):
        raise PicturesGone
    image = images[position]
    model_id = await _check_owns_model(interaction, image.job_id)
    key = cover_key(model_id, image)
    await services.blobs.put(key, await services.blobs.get(image.key))
    async with services.database.write() as session:
        model = await own_model(session, model_id, interaction.user.id)
        model.cover_key = key
    await reply(interaction, COVER_SET.format(name=bold(model.name)))


async def _check_owns_model(interaction: "Interaction", job_id: str) -> str:
    async with interaction.client.services.database.write() as session:
        job = await session.get_one(Job, job_id)
        if job.model_id is None:
            raise PicturesGone
        return (await own_model(session, job.model_id, interaction.user.id)).id


async def _delete(interaction: "Interaction", job_id: str) -> None:
    """Delete the pictures, and the message with them; from anywhere else the card in the channel loses them too."""
    services = interaction.client.services
    async with services.database.write() as session:
        job = await find_job(session, job_id)
        if job is None:
            raise NotYourJob
        check_may_delete(job, interaction)
        keys = await forget_card(session, job)
        if interaction.message is not None:
            await touch_card_elsewhere(session, job, interaction.message.id, services.clock())
    services.wake_delivery()
    await acknowledge(interaction)
    for key in keys:
        await services.blobs.delete(key)
    await interaction.delete_original_response()


ACTIONS: Mapping[Verb, Callable[["Interaction", str], Awaitable[None]]] = {
    Verb.AGAIN: _again,
    Verb.SAME: _same,
    Verb.BEST: _best,
    Verb.EDIT: _edit,
    Verb.DETAILS: _details,
    Verb.COVER: _cover,
    Verb.REPORT: _report,
    Verb.DELETE: _delete,
}
WAYS: Mapping[Way, Callable[["Interaction", str, int], Awaitable[None]]] = {
    Way.SUBTLE: partial(work_on, work=Work.SUBTLE),
    Way.STRONG: partial(work_on, work=Work.STRONG),
    Way.UPSCALE: partial(work_on, work=Work.UPSCALE),
    Way.PART: _part,
    Way.AROUND: _around,
}
