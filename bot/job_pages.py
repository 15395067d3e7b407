"""What the pages of a person's jobs do: load what they show. All of it is for the person's own eyes."""

from typing import TYPE_CHECKING

import discord

from bot.acknowledging import acknowledge
from bot.limits import all_per_day
from bot.rendering import render_card
from bot.results import render_result
from bot.views import job_list
from bot.views.job_list import PAGE_JOBS, Usage
from bot.views.rendered import Rendered
from storage.contract import JobKind
from storage.history import count_jobs, list_jobs, own_job
from storage.quotas import used
from storage.schema import WAITING

if TYPE_CHECKING:
    from bot.app import Dreambot

    Interaction = discord.Interaction[Dreambot]


async def show_jobs(interaction: "Interaction", page: int = 0) -> None:
    """Fill the reply, which must be deferred, with a page of the asker's jobs."""
    await _fill(interaction, await _page(interaction, page))


async def show_job(interaction: "Interaction", job_id: str, page: int) -> None:
    """Show what came of a job where its list was. Raises `NotYourJob`."""
    services = interaction.client.services
    async with services.database.read() as session:
        job = await own_job(session, job_id, interaction.user.id)
    await acknowledge(interaction)
    render = render_result if job.kind is JobKind.TRAIN else render_card
    shown = await render(services, job.id)
    shown.view.add_item(job_list.back_to(page))
    await _fill(interaction, shown)


async def _page(interaction: "Interaction", page: int) -> Rendered:
    """Load a page, or the last one when there are not so many any more."""
    services, owner_id = interaction.client.services, interaction.user.id
    now = services.clock()
    async with services.database.read() as session:
        limits = await all_per_day(session, services.settings, interaction)
        total = await count_jobs(session, owner_id, now)
        page = min(page, job_list.page_count(total) - 1)
        entries = await list_jobs(session, owner_id, now, page * PAGE_JOBS, PAGE_JOBS)
        usage = {
            kind: Usage(used=await used(session, owner_id, kind, now), limit=limit) for kind, limit in limits.items()
        }
    waits = any(entry.job.state in WAITING for entry in entries)
    alive = not waits or await services.queue.worker_alive(services.base)
    return job_list.render(entries, total, page, usage, worker_alive=alive)


async def _fill(interaction: "Interaction", shown: Rendered) -> None:
    await interaction.edit_original_response(view=shown.view, attachments=shown.files)
