"""The question whether photos show what their owner calls them: train as what they look like, or as was said."""

import re
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import discord
from discord import ui

from bot.access import NotYourModel
from bot.acknowledging import acknowledge
from bot.cards import post_card
from bot.channel_rules import check_channel
from bot.language import _, locale_of_card
from bot.limits import per_day, roles_of
from bot.markup import cut
from bot.replies import pressed
from bot.subject_kinds import guess_kind
from bot.views.rendered import Rendered
from storage.class_questions import Answer, train_after_all
from storage.contract import JobKind, TrainRequest
from storage.errors import QuestionClosed
from storage.faults import reach
from storage.schema import Job

if TYPE_CHECKING:
    from bot.app import Dreambot

LABEL_CHARS = 80


class ClassButton(ui.DynamicItem[ui.Button[Any]], template=r"class:(?P<job>[0-9a-f]{32}):(?P<answer>seen|said)"):
    """Begin the training that was held back; who presses again finds the question closed."""

    def __init__(self, job_id: str, answer: str, label: str = "") -> None:
        style = discord.ButtonStyle.success if answer == "seen" else discord.ButtonStyle.secondary
        super().__init__(ui.Button(label=cut(label, LABEL_CHARS), style=style, custom_id=f"class:{job_id}:{answer}"))
        self.job_id, self.answer = job_id, answer

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["job"], match["answer"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.results import show_result_of  # here, because that message holds this button

        await check_channel(interaction)
        services = interaction.client.services
        await acknowledge(interaction)
        async with services.database.write() as session:
            job = await session.get(Job, self.job_id, with_for_update=True)
            if job is None:
                raise QuestionClosed
            if job.owner_id != interaction.user.id:
                raise NotYourModel(job.owner_id)
            here = interaction.guild_id, roles_of(interaction)
            a_day = await per_day(session, services.settings, JobKind.TRAIN, *here)
            begun = await train_after_all(session, job, self._answer(job, interaction), services.clock(), a_day)
        reach("class.answered")
        services.queue.wake()
        await show_result_of(interaction, job.id)

        async def send(card: Rendered) -> discord.Message:
            return await interaction.followup.send(view=card.view, files=card.files, wait=True)

        await post_card(services, begun, send)

    def _answer(self, job: Job, interaction: discord.Interaction[Any]) -> Answer:
        """A class that was not typed has the kind that is usual for it."""
        asked = TrainRequest.model_validate(job.request)
        seen = job.seen_class if self.answer == "seen" else None
        assert interaction.channel_id is not None  # noqa: S101 -- messages are in channels
        return Answer(
            job=uuid4().hex,
            model=uuid4().hex,
            class_noun=seen or asked.class_noun,
            subject_kind=guess_kind(seen) if seen else asked.subject_kind,
            interaction_id=interaction.id,
            guild_id=interaction.guild_id,
            channel_id=interaction.channel_id,
            locale=locale_of_card(interaction),
        )


def class_row(job: Job) -> ui.ActionRow[Any]:
    """Offer both answers."""
    seen = _('Train as "{noun}"').format(noun=job.seen_class)
    return ui.ActionRow(ClassButton(job.id, "seen", seen), ClassButton(job.id, "said", _("Train anyway")))
