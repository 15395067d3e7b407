"""What is kept of a person, the buttons that hand it to them or delete it, and the question before that."""

import contextlib
import io
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot import personal_data
from bot.acknowledging import acknowledge
from bot.language import N_, _
from bot.privacy_text import EVERYTHING_GOES, EVERYTHING_GONE, HELD, LEFT_OUT, NOTHING_HELD, YOUR_DATA, YOUR_DATA_LINKED
from bot.replies import pressed
from bot.views.download import upload_limit
from storage.personal import Held, announcements, held

if TYPE_CHECKING:
    from bot.app import Dreambot

    Interaction = discord.Interaction[Dreambot]


class Verb(StrEnum):
    SHOW = "show"
    EXPORT = "export"
    ASK = "ask"
    FORGET = "forget"


LABELS = {
    Verb.SHOW: (N_("Keep it all"), discord.ButtonStyle.secondary),
    Verb.EXPORT: (N_("Give me a copy"), discord.ButtonStyle.primary),
    Verb.ASK: (N_("Delete everything"), discord.ButtonStyle.danger),
    Verb.FORGET: (N_("Yes, delete everything for good"), discord.ButtonStyle.danger),
}


async def load(interaction: "Interaction") -> ui.LayoutView:
    """Return the card as the asker's rows stand."""
    async with interaction.client.services.database.read() as session:
        return render(await held(session, interaction.user.id))


def render(known: Held) -> ui.LayoutView:
    counted = {what: getattr(known, what) for what in HELD}
    lines = [f"- {HELD[what].format(count)}" for what, count in counted.items() if count]
    title = _("### What I keep of you")
    return _card("\n".join([title, *(lines or [str(NOTHING_HELD)])]), Verb.EXPORT, Verb.ASK)


def _card(words: str, *verbs: Verb) -> ui.LayoutView:
    card = ui.Container[Any](accent_colour=discord.Colour.blurple())
    card.add_item(ui.TextDisplay(words))
    if verbs:
        card.add_item(ui.ActionRow(*(PrivacyButton(verb) for verb in verbs)))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return view


class PrivacyButton(ui.DynamicItem[ui.Button[Any]], template=rf"privacy:(?P<verb>{'|'.join(Verb)})"):
    """Whoever presses it, it is about what is kept of them."""

    def __init__(self, verb: Verb) -> None:
        label, style = LABELS[verb]
        super().__init__(ui.Button(label=str(label), style=style, custom_id=f"privacy:{verb}"))
        self.verb = verb

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(Verb(match["verb"]))

    @pressed
    async def callback(self, interaction: "Interaction") -> None:
        match self.verb:
            case Verb.SHOW:
                await interaction.response.edit_message(view=await load(interaction))
            case Verb.EXPORT:
                await _export(interaction)
            case Verb.ASK:
                await interaction.response.edit_message(view=_card(str(EVERYTHING_GOES), Verb.SHOW, Verb.FORGET))
            case Verb.FORGET:
                await acknowledge(interaction)
                await _forget(interaction)


async def _export(interaction: "Interaction") -> None:
    services = interaction.client.services
    await acknowledge(interaction, ephemeral=True, thinking=True)
    packed = await personal_data.pack(services, interaction.user.id, upload_limit(interaction))
    missing = [LEFT_OUT.format(packed.left_out)] if packed.left_out else []
    if packed.archive is not None:
        file = discord.File(io.BytesIO(packed.archive), personal_data.FILE_NAME)
        await interaction.edit_original_response(content="\n".join([str(YOUR_DATA), *missing]), attachments=[file])
    elif packed.key is not None:
        link = services.link(packed.key, personal_data.FILE_NAME)
        await interaction.edit_original_response(content="\n".join([YOUR_DATA_LINKED.format(link=link), *missing]))


async def _forget(interaction: "Interaction") -> None:
    """Delete it all, and the messages that told of trainings; where those may not be deleted any more, they stay."""
    async with interaction.client.services.database.read() as session:
        told = await announcements(session, interaction.user.id)
    await personal_data.forget(interaction.client.services, interaction.user.id)
    await interaction.edit_original_response(view=_card(str(EVERYTHING_GONE)))
    for channel, message in told:
        with contextlib.suppress(discord.HTTPException):
            await interaction.client.get_partial_messageable(channel).get_partial_message(message).delete()
