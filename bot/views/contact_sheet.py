"""What a person sees before a training begins: the crops that will be trained on, advice, the estimate, and a choice.

Where consent is missing the card carries its words, and the button agrees to them.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.acknowledging import acknowledge
from bot.cards import post_card
from bot.channel_rules import check_channel
from bot.consent import ConsentText
from bot.cost_text import estimated
from bot.drafts import DRAFT_LIFE, DraftGone, FormGone, accept_draft, drop_draft, wish_of
from bot.estimates import Estimate
from bot.intake import TakenIn
from bot.language import N_, _, ngettext
from bot.limits import roles_of
from bot.markup import bold, plain
from bot.photo_text import advice, copies_left_out
from bot.replies import pressed
from bot.training import agreed_already
from bot.views.rendered import Rendered
from bot.views.train_form import TrainForm
from storage.drafts import find_draft
from storage.trainings import NewTraining

if TYPE_CHECKING:
    from bot.app import Dreambot

SHEET = "contact-sheet.jpg"
MOST_ADVICE = 4
NOTE = N_("Each square is trained on, mirrored as well, and closer up as its frame shows.")


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A training that waits for its owner's word."""

    training: NewTraining
    taken: TakenIn
    estimate: Estimate
    asks: ConsentText | None
    """The words to agree to, for somebody who has not yet."""
    version: int = 1
    """What becomes of it: the first of a model, or a later one."""
    price_per_hour: float = 0
    """Of the GPU; 0 where the operator names none."""
    currency: str = ""


def render(offer: Offer) -> Rendered:
    training, taken = offer.training, offer.taken
    file = discord.File(io.BytesIO(taken.sheet), SHEET)
    count = len(training.photos)
    alt = ngettext(
        "{count} photo, as the square that will be trained on",
        "{count} photos, numbered, each as the square that will be trained on",
        count,
    )
    hours = DRAFT_LIFE.total_seconds() / 3600
    wait = ngettext(
        "Your {count} photo waits here for {hours} hours; then it is deleted.",
        "Your {count} photos wait here for {hours} hours; then they are deleted.",
        count,
    )
    notes = [str(NOTE), wait.format(hours=f"{hours:g}")]
    if taken.copies:
        notes.append(copies_left_out(taken.copies))
    said = [f"- {advice(found)}" for found in taken.advice[:MOST_ADVICE]] or [_("The photos look good to me.")]
    title = f"### {plain(training.name)} · {plain(training.class_noun)}"
    if offer.version > 1:
        again = _(
            "This becomes version {version}. Until it is ready {name} draws as before, and you can go back to that."
        )
        title += f"\n{again.format(version=offer.version, name=bold(training.name))}"
    parts: list[ui.Item[Any]] = [
        ui.TextDisplay(title),
        ui.MediaGallery(discord.MediaGalleryItem(file, description=alt)),
        ui.TextDisplay("\n".join(said)),
        ui.TextDisplay(estimated(offer.estimate, offer.price_per_hour, offer.currency)),
        *_consent(training, offer.asks),
        ui.TextDisplay("\n".join(f"-# {note}" for note in notes)),
        _choice(training.job, offer.asks),
    ]
    return Rendered(_layout(*parts), [file])


def render_question(training: NewTraining, words: ConsentText) -> ui.LayoutView:
    """Ask for consent alone, of somebody whose card was made before these words."""
    return _layout(*_consent(training, words), _choice(training.job, words))


def _consent(training: NewTraining, words: ConsentText | None) -> Sequence[ui.Item[Any]]:
    if words is None:
        return []
    title = _("### Before I learn {name}").format(name=bold(training.name))
    return [ui.Separator(), ui.TextDisplay(f"{title}\n{words.words}")]


def _choice(draft_id: str, asks: ConsentText | None) -> ui.ActionRow[Any]:
    mark = None if asks is None else asks.mark
    return ui.ActionRow(TrainButton(draft_id, mark), SwapButton(draft_id), CancelButton(draft_id))


def _layout(*parts: ui.Item[Any]) -> ui.LayoutView:
    layout = ui.LayoutView(timeout=None)
    layout.add_item(ui.Container(*parts, accent_colour=discord.Colour.blurple()))
    return layout


async def _close(interaction: discord.Interaction[Any], words: str) -> None:
    """Let the words stand where the card was."""
    await interaction.edit_original_response(view=_layout(ui.TextDisplay(words)), attachments=[])


class TrainButton(
    ui.DynamicItem[ui.Button[Any]],
    template=r"draft:(?P<id>[0-9a-f]{32}):(?:(?P<mark>[0-9a-f]{16}):)?(?:agree|train)",
):
    def __init__(self, draft_id: str, mark: str | None) -> None:
        """`mark` is of the words that the card asks to agree to, None where it asks nothing."""
        label, what = (_("Train"), "train") if mark is None else (_("I agree, train"), f"{mark}:agree")
        super().__init__(
            ui.Button(label=label, style=discord.ButtonStyle.success, custom_id=f"draft:{draft_id}:{what}")
        )
        self.draft_id, self.mark = draft_id, mark

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["id"], match["mark"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        await check_channel(interaction)
        services, owner_id = interaction.client.services, interaction.user.id
        await acknowledge(interaction)
        words = ConsentText.of(services.settings)
        agrees = self.mark == words.mark
        async with services.database.read() as session:
            draft = await find_draft(session, self.draft_id, owner_id)
            agreed = agrees or await agreed_already(session, services, owner_id)
        if draft is not None and not agreed:  # the words have changed since
            await interaction.edit_original_response(view=render_question(draft, words), attachments=[])
            return
        roles = roles_of(interaction)
        job = await accept_draft(services, self.draft_id, owner_id, interaction.id, agrees=agrees, roles=roles)
        await _close(interaction, _("Thank you. The training is under way."))

        async def send(card: Rendered) -> discord.Message:
            return await interaction.followup.send(view=card.view, files=card.files, wait=True)

        if job is not None:
            await post_card(services, job, send)


class SwapButton(ui.DynamicItem[ui.Button[Any]], template=r"draft:(?P<id>[0-9a-f]{32}):swap"):
    """Open the form again; what it brings takes the place of these photos."""

    def __init__(self, draft_id: str) -> None:
        super().__init__(ui.Button(label=_("Swap photos"), custom_id=f"draft:{draft_id}:swap"))
        self.draft_id = draft_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["id"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        services = interaction.client.services
        try:
            async with services.database.read() as session:
                wish = await wish_of(session, self.draft_id, interaction.user.id)
                agreed = await agreed_already(session, services, interaction.user.id)
        except FormGone:
            raise DraftGone from None
        await TrainForm(wish, self.draft_id, None if agreed else ConsentText.of(services.settings)).open(interaction)


class CancelButton(ui.DynamicItem[ui.Button[Any]], template=r"draft:(?P<id>[0-9a-f]{32}):decline"):
    def __init__(self, draft_id: str) -> None:
        super().__init__(ui.Button(label=_("Cancel"), custom_id=f"draft:{draft_id}:decline"))
        self.draft_id = draft_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["id"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        await acknowledge(interaction)
        await drop_draft(interaction.client.services, self.draft_id, interaction.user.id)
        await _close(interaction, _("Deleted. Nothing was trained."))
