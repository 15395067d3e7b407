"""The form by which anybody tells those who run the bot of a picture that should not be."""

import logging
import re
from typing import TYPE_CHECKING, Self

import discord
from discord import ui

from bot.acknowledging import acknowledge
from bot.forms import Form
from bot.language import _, spoken
from bot.replies import pressed, reply
from bot.report_text import REPORT_REASONS, REPORTED, REPORTED_BEFORE, report_notice
from bot.views.picture_buttons import PictureButton, Verb
from bot.views.report_list import decisions
from storage.errors import NotYourJob
from storage.history import Message, message_of
from storage.jobs import find_job
from storage.reports import MAX_NOTE_CHARS, Reason, add_report
from storage.schema import Job

if TYPE_CHECKING:
    from bot.app import Dreambot

log = logging.getLogger(__name__)


class ReportForm(Form, template=r"report:(?P<job>[0-9a-f]{32})"):
    def __init__(self, job_id: str) -> None:
        super().__init__(title=_("Report this picture"), custom_id=f"report:{job_id}")
        self.job_id = job_id
        self.reason = ui.Select[Self](
            options=[discord.SelectOption(label=str(label), value=reason) for reason, label in REPORT_REASONS.items()],
            custom_id="reason",
        )
        self.note = ui.TextInput[Self](
            style=discord.TextStyle.paragraph, required=False, max_length=MAX_NOTE_CHARS, custom_id="note"
        )
        self.add_item(ui.Label(text=_("What is wrong with it?"), component=self.reason))
        about = _("Goes to those who run this bot, with your name.")
        self.add_item(ui.Label(text=_("What should they know?"), description=about, component=self.note))

    @classmethod
    async def reopen(cls, _interaction: "discord.Interaction[Dreambot]", match: re.Match[str]) -> Self:
        return cls(match["job"])

    @pressed
    async def on_submit(self, interaction: "discord.Interaction[Dreambot]") -> None:
        services, reason = interaction.client.services, Reason(self.reason.values[0])
        await acknowledge(interaction, ephemeral=True, thinking=True)
        async with services.database.write() as session:
            job = await find_job(session, self.job_id)
            if job is None:
                raise NotYourJob
            new = await add_report(session, job.id, interaction.user.id, reason, self.note.value, services.clock())
            where = await message_of(session, job.id)
        await reply(interaction, str(REPORTED if new else REPORTED_BEFORE))
        if new:
            log.warning("job %s was reported as %s", job.id, reason.value)
            await self._tell_operator(interaction, job, where, reason)

    async def _tell_operator(
        self, interaction: "discord.Interaction[Dreambot]", job: Job, where: Message | None, reason: Reason
    ) -> None:
        """Post it where operators read; the row is there in any case."""
        channel_id = interaction.client.services.settings.reports_channel_id
        if channel_id is None:
            return
        with spoken(_language_of(interaction.client, channel_id)):
            view = self._notice(job, interaction.user.id, None if where is None else where.address, reason)
        try:
            await interaction.client.get_partial_messageable(channel_id).send(
                view=view, allowed_mentions=discord.AllowedMentions.none()
            )
        except discord.HTTPException as error:
            log.error("the report on job %s could not be posted: HTTP %s", job.id, error.status)

    def _notice(self, job: Job, reporter_id: int, address: str | None, reason: Reason) -> ui.LayoutView:
        card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.red())
        words = report_notice(job, reporter_id, reason, self.note.value, address)
        card.add_item(ui.TextDisplay(words))
        card.add_item(ui.ActionRow(PictureButton(job.id, Verb.DETAILS), PictureButton(job.id, Verb.DELETE)))
        card.add_item(decisions(job.id, with_model=job.model_id is not None))
        view = ui.LayoutView(timeout=None)
        view.add_item(card)
        return view


def _language_of(client: discord.Client, channel_id: int) -> discord.Locale | None:
    """Return the language of the server where operators read."""
    channel = client.get_channel(channel_id)
    return channel.guild.preferred_locale if isinstance(channel, discord.abc.GuildChannel) else None
