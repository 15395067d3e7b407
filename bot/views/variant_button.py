"""The buttons by which an owner lets a model draw with another variant of itself, and go back."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.access import own_model
from bot.replies import pressed
from bot.result_text import variant_label
from bot.views.model_buttons import PLACE, Place
from storage.contract import Variant
from storage.schema import Model
from storage.variants import use_variant

if TYPE_CHECKING:
    from bot.app import Dreambot


class VariantButton(
    ui.DynamicItem[ui.Button[Any]],
    template=rf"model:(?P<model>[0-9a-f]{{32}}):use:(?P<variant>{'|'.join(Variant)})(?::{PLACE})?",
):
    """Let the model draw with a variant from now on, and show the card anew; once more changes nothing."""

    def __init__(self, model_id: str, variant: Variant, place: Place | None, label: str = "") -> None:
        """`place` is of the gallery; a result has none."""
        where = "" if place is None else f":{place}"
        super().__init__(ui.Button(label=label, custom_id=f"model:{model_id}:use:{variant}{where}"))
        self.model_id, self.variant, self.place = model_id, variant, place

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["model"], Variant(match["variant"]), Place.read(match) if match["viewer"] else None)

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.model_pages import open_model  # here, because the cards that these show hold this button
        from bot.results import show_result

        async with interaction.client.services.database.write() as session:
            model = await own_model(session, self.model_id, interaction.user.id)
            await use_variant(session, model, self.variant)
        if self.place is None:
            await show_result(interaction, model.id)
        else:
            await open_model(interaction, model.id, self.place)


def variant_row(model: Model, choices: Sequence[Variant], place: Place | None = None) -> ui.ActionRow[Any] | None:
    """Offer the variants that are not in use; None where there is no choice."""
    others = [variant for variant in choices if variant is not model.variant]
    if not others:
        return None
    return ui.ActionRow(
        *(VariantButton(model.id, variant, place, variant_label(variant, model.name)) for variant in others)
    )
