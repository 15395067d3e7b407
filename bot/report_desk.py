"""Where operators decide about reported pictures. A decision and all that it changes in the rows is one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import discord
from sqlalchemy.ext.asyncio import AsyncSession

from bot.admin_text import DECIDED, NOT_BLOCKABLE, TOLD, why_reported
from bot.markup import bold
from bot.rendering import load
from bot.replies import reply
from bot.services import Services
from bot.uploads import FILE_BYTES
from bot.views.report_list import PAGE_CASES, Shown, page_count, render
from bot.withdrawal import tell_owner
from storage.blocks import EVERYWHERE, block_person
from storage.deliveries import touch_card_elsewhere
from storage.history import message_of
from storage.models import model_of
from storage.reports import Case, Verdict, count_cases, open_cases, settle
from storage.schema import Job, Model, ModelStatus
from storage.sets import forget_card, members, pictures_of_set
from storage.takedowns import take_down

if TYPE_CHECKING:
    from bot.app import Dreambot

    Interaction = discord.Interaction[Dreambot]

NO_MESSAGE = 0


async def show_reports(interaction: "Interaction", page: int = 0) -> None:
    """Fill the reply, which must be deferred, with a page of what is not decided about, or the last one there is."""
    services = interaction.client.services
    async with services.database.read() as session:
        total = await count_cases(session)
        page = min(page, page_count(total) - 1)
        cases = await open_cases(session, page * PAGE_CASES, PAGE_CASES)
        about = [await _about(session, case) for case in cases]
    shown = [
        Shown(case, model, address, next(iter(await load(services, keys, f"reported-{number}", FILE_BYTES)), None))
        for number, (case, (model, address, keys)) in enumerate(zip(cases, about, strict=True), start=1)
    ]
    listed = render(shown, total, page)
    await interaction.edit_original_response(view=listed.view, attachments=listed.files)


async def _about(session: AsyncSession, case: Case) -> tuple[Model | None, str | None, Sequence[str]]:
    """Return the model of a card, the link to it, and the key of its first picture."""
    message = await message_of(session, case.job.id)
    images = await pictures_of_set(session, await members(session, case.job.id))
    address = None if message is None else message.address
    return await model_of(session, case.job), address, [image.key for image in images[:1]]


@dataclass(frozen=True)
class Decided:
    """What there is to do once the rows say so."""

    case: Case
    keys: Sequence[str] = ()
    """Of the blobs to delete."""
    stopped: Sequence[Job] = ()
    model: Model | None = None
    """The model that was taken down."""


async def decide(interaction: "Interaction", job_id: str, verdict: Verdict) -> None:
    """Carry a decision out, and say so to the presser alone; the press must be acknowledged.

    Raises `ReportSettled`, `NotYourJob`.
    """
    services, operator = interaction.client.services, interaction.user.id
    async with services.database.write() as session:
        job = await session.get(Job, job_id)
        blocks_operator = job is not None and job.owner_id in services.settings.operator_ids
        if verdict is not Verdict.BLOCKED or not blocks_operator:
            decided = await _decide(session, services, job_id, verdict, operator)
        else:
            decided = None
    if decided is None:
        await reply(interaction, str(NOT_BLOCKABLE))
        return
    services.wake_delivery()
    for stopped in decided.stopped:
        await services.queue.stop(stopped)
    for key in decided.keys:
        await services.blobs.delete(key)
    await reply(interaction, await _told(interaction.client, services, decided, verdict))


async def _told(client: discord.Client, services: Services, decided: Decided, verdict: Verdict) -> str:
    """Tell a model's owner what became of it; return what the operator is told."""
    model = decided.model
    if model is not None:
        told = TOLD[await tell_owner(client, services, model, why_reported(decided.case))]
        return DECIDED[verdict].format(name=bold(model.name), owner=model.owner_id, told=told)
    if verdict is Verdict.TAKEN_DOWN:  # it is gone, or was taken down before
        verdict = Verdict.REMOVED
    return DECIDED[verdict].format(asker=decided.case.job.owner_id)


async def _decide(session: AsyncSession, services: Services, job_id: str, verdict: Verdict, operator: int) -> Decided:
    at = services.clock()
    case = await settle(session, job_id, verdict, operator, at)
    if verdict is Verdict.DISMISSED:
        return Decided(case)
    keys = await forget_card(session, case.job)
    await touch_card_elsewhere(session, case.job, NO_MESSAGE, at)
    if verdict is Verdict.BLOCKED:
        why = why_reported(case)
        return Decided(case, keys, await block_person(session, case.job.owner_id, EVERYWHERE, operator, why, at))
    if verdict is Verdict.TAKEN_DOWN:
        model = await model_of(session, case.job)
        if model is not None and model.status is not ModelStatus.TAKEN_DOWN and model.deleted_at is None:
            taken, stopped = await take_down(session, model.id, operator, why_reported(case), at)
            return Decided(case, keys, stopped, taken)
    return Decided(case, keys)
