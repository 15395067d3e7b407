"""`/cancel`: stop one of your own jobs."""

from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.app_commands import Choice

from bot.acknowledging import acknowledge
from bot.cancellation import cancel, the_only_job
from bot.language import _
from bot.markup import cut
from bot.replies import reply
from bot.views.cancel_button import CancelButton
from storage.contract import JobKind
from storage.jobs import active_requests
from storage.models import model_of
from storage.schema import WAITING, Job, Model

if TYPE_CHECKING:
    from bot.app import Dreambot

Interaction = discord.Interaction["Dreambot"]
MAX_CHOICES = 25
CHOICE_CHARS = 100


def register(bot: "Dreambot") -> None:
    bot.tree.add_command(cancel_command)
    bot.add_dynamic_items(CancelButton)


@app_commands.command(name="cancel", description="Stop a training or pictures of yours that are under way")
@app_commands.describe(job="Which one; not needed when there is only one")
async def cancel_command(interaction: Interaction, job: str | None = None) -> None:
    await acknowledge(interaction, ephemeral=True, thinking=True)
    services, person = interaction.client.services, interaction.user.id
    await reply(interaction, await cancel(services, job or await the_only_job(services, person), person))


@cancel_command.autocomplete("job")
async def complete_job(interaction: Interaction, typed: str) -> list[Choice[str]]:
    async with interaction.client.services.database.read() as session:
        jobs = [(job, await model_of(session, job)) for job in await active_requests(session, interaction.user.id)]
    choices = [Choice(name=_label(job, model), value=job.id) for job, model in jobs]
    return [choice for choice in choices if typed.casefold() in choice.name.casefold()][:MAX_CHOICES]


def _label(job: Job, model: Model | None) -> str:
    if job.kind is JobKind.TRAIN:
        what = _("training of {name}").format(name=model.name if model else "?")
    else:
        what = _("pictures of {prompt}").format(prompt=job.prompt_shown or _("a prompt"))
    return cut(f"{what} ({_stage(job)})", CHOICE_CHARS)


def _stage(job: Job) -> str:
    if job.cancel_requested_at is not None:
        return _("stopping")
    return _("waiting") if job.state in WAITING else _("under way")
