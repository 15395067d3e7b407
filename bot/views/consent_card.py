"""What a person sees before their first training: the words, and a button that agrees to them."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.cards import post_card
from bot.drafts import DRAFT_LIFE, accept_draft, drop_draft
from bot.intake import Copy
from bot.replies import pressed
from bot.text import bold, copies_left_out
from bot.views.rendered import Rendered
from storage.jobs import NewTraining

if TYPE_CHECKING:
    from bot.app import Dreambot


def render(training: NewTraining, words: str, copies: Sequence[Copy] = ()) -> ui.LayoutView:
    """Ask for consent to `words`, while the photos wait."""
    hours = DRAFT_LIFE.total_seconds() / 3600
    notes = [f"Your {len(training.photos)} photos wait here for {hours:g} hours; then they are deleted."]
    if copies:
        notes.append(copies_left_out(copies))
    return _layout(
        ui.TextDisplay(f"### Before I learn {bold(training.name)}\n{words}"),
        ui.TextDisplay("\n".join(f"-# {note}" for note in notes)),
        ui.ActionRow(AgreeButton(training.job), DeclineButton(training.job)),
    )


def _layout(*parts: ui.Item[Any]) -> ui.LayoutView:
    layout = ui.LayoutView(timeout=None)
    layout.add_item(ui.Container(*parts, accent_colour=discord.Colour.blurple()))
    return layout


class AgreeButton(ui.DynamicItem[ui.Button[Any]], template=r"draft:(?P<id>[0-9a-f]{32}):agree"):
    def __init__(self, draft_id: str) -> None:
        super().__init__(
            ui.Button(label="I agree, train", style=discord.ButtonStyle.success, custom_id=f"draft:{draft_id}:agree")
        )
        self.draft_id = draft_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["id"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        services = interaction.client.services
        await interaction.response.defer()
        job = await accept_draft(services, self.draft_id, interaction.user.id, interaction.id)
        await interaction.edit_original_response(view=_layout(ui.TextDisplay("Thank you. The training is under way.")))

        async def send(card: Rendered) -> discord.Message:
            return await interaction.followup.send(view=card.view, files=card.files, wait=True)

        if job is not None:
            await post_card(services, job, send)


class DeclineButton(ui.DynamicItem[ui.Button[Any]], template=r"draft:(?P<id>[0-9a-f]{32}):decline"):
    def __init__(self, draft_id: str) -> None:
        super().__init__(ui.Button(label="No, delete the photos", custom_id=f"draft:{draft_id}:decline"))
        self.draft_id = draft_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["id"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        await interaction.response.defer()
        await drop_draft(interaction.client.services, self.draft_id, interaction.user.id)
        await interaction.edit_original_response(view=_layout(ui.TextDisplay("Deleted. Nothing was trained.")))
