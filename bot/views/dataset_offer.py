"""What a person sees before a data set is drawn: what it will show, what it takes, and a choice."""

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.cost_text import dataset_cost
from bot.datasets import MAX_PICTURES, MIN_PICTURES
from bot.imagining import Wish, imagine
from bot.language import N_, _, ngettext
from bot.looks import NO_LOOK
from bot.markup import plain
from bot.named_models import pick_model
from bot.replies import pressed
from bot.variety import LIGHT, PLACES, VIEWS, captions
from storage.bases import Shape
from storage.schema import Model, SetKind

if TYPE_CHECKING:
    from bot.app import Dreambot

QUOTA = N_("They count among your {per_day} pictures of 24 hours; {used} of these are used.")
PRIVATE, PUBLIC = "private", "public"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A data set that waits for a person's word."""

    model: Model
    count: int
    private: bool
    asked_by: int
    """The interaction that asked: however often its buttons are pressed, it makes one set."""
    picture_seconds: float | None
    """What a picture took lately of the GPU; None before there was one."""
    used: int
    """Pictures of the last 24 hours."""
    per_day: int | None
    """Pictures that the person may ask for in 24 hours; None for no limit."""
    price_per_hour: float = 0
    currency: str = ""


def render(offer: Offer) -> ui.LayoutView:
    name = plain(offer.model.name)
    title = ngettext(
        "### {count} picture of {name}, to train with", "### {count} pictures of {name}, to train with", offer.count
    )
    about = _(
        "I draw {name} in up to {places} places, {views} views and {lights} kinds of light. What looks too little like "
        "its photos, and what comes out twice, stays out of the zip, so it may hold fewer than you asked for."
    )
    quota = [QUOTA.format(per_day=offer.per_day, used=offer.used)] if offer.per_day is not None else []
    parts: list[ui.Item[Any]] = [
        ui.TextDisplay(title.format(name=name)),
        ui.TextDisplay(about.format(name=name, places=len(PLACES), views=len(VIEWS), lights=len(LIGHT))),
        ui.TextDisplay(dataset_cost(offer.count, offer.picture_seconds, offer.price_per_hour, offer.currency)),
        *(ui.TextDisplay(f"-# {line}") for line in quota),
        ui.ActionRow(DrawButton.of(offer), DeclineButton()),
    ]
    return _layout(*parts)


def _layout(*parts: ui.Item[Any]) -> ui.LayoutView:
    layout = ui.LayoutView(timeout=None)
    layout.add_item(ui.Container(*parts, accent_colour=discord.Colour.teal()))
    return layout


class DrawButton(
    ui.DynamicItem[ui.Button[Any]],
    template=r"dataset:(?P<model>[0-9a-f]{32}):(?P<count>[0-9]{1,3}):(?P<shown>private|public):(?P<asked>[0-9]{1,20})",
):
    """Have the set drawn; a second press is the same set."""

    def __init__(self, model_id: str, count: int, shown: str, asked_by: int) -> None:
        custom_id = f"dataset:{model_id}:{count}:{shown}:{asked_by}"
        super().__init__(ui.Button(label=_("Draw them"), style=discord.ButtonStyle.success, custom_id=custom_id))
        self.model_id, self.private, self.asked_by = model_id, shown == PRIVATE, asked_by
        self.count = min(max(count, MIN_PICTURES), MAX_PICTURES)

    @classmethod
    def of(cls, offer: Offer) -> Self:
        return cls(offer.model.id, offer.count, PRIVATE if offer.private else PUBLIC, offer.asked_by)

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["model"], int(match["count"]), match["shown"], int(match["asked"]))

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        async with interaction.client.services.database.read() as session:
            model = await pick_model(session, self.model_id, interaction)
        wish = Wish(
            prompt=ngettext("{count} picture of {name}", "{count} pictures of {name}", self.count).format(
                name=model.name
            ),
            model=model.id,
            look=NO_LOOK,
            negative_prompt="",
            shape=Shape.SQUARE,
            private=self.private,
            scenes=captions(model.name, self.count, self.asked_by),
            kind=SetKind.DATASET,
            asked_by=self.asked_by,
        )
        await imagine(interaction, wish)
        if interaction.message is not None:
            with contextlib.suppress(discord.HTTPException):  # it is gone already, or its reply has expired
                await interaction.followup.delete_message(interaction.message.id)


class DeclineButton(ui.DynamicItem[ui.Button[Any]], template=r"dataset:decline"):
    def __init__(self) -> None:
        super().__init__(ui.Button(label=_("Cancel"), custom_id="dataset:decline"))

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], _match: re.Match[str], /
    ) -> Self:
        return cls()

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        await interaction.response.edit_message(view=_layout(ui.TextDisplay(_("Nothing was drawn."))))
