"""The menu by which an owner goes back to an earlier training of a model, and forth again."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.access import own_model
from bot.language import _, ngettext, number
from bot.markup import cut
from bot.replies import pressed
from bot.views.model_buttons import OPTION_CHARS, PLACE, Place
from storage.schema import Model
from storage.variants import Version, use_version

if TYPE_CHECKING:
    from bot.app import Dreambot


class VersionMenu(ui.DynamicItem[ui.Select[Any]], template=rf"model:(?P<model>[0-9a-f]{{32}}):version:{PLACE}"):
    """Choose the version that a model draws with, and show the model anew; the one in use changes nothing."""

    def __init__(self, model_id: str, in_use: int, kept: Sequence[Version], place: Place) -> None:
        options = [
            discord.SelectOption(
                label=_("Version {version}").format(version=each.number),
                value=str(each.number),
                description=cut(about(each), OPTION_CHARS),
                default=each.number == in_use,
            )
            for each in kept
        ]
        super().__init__(ui.Select(options=options, custom_id=f"model:{model_id}:version:{place}"))
        self.model_id, self.place = model_id, place

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["model"], 0, [], Place.read(match))

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        from bot.model_pages import open_model  # here, because the page that this shows holds this menu

        async with interaction.client.services.database.write() as session:
            model = await own_model(session, self.model_id, interaction.user.id)
            await use_version(session, model, int(self.item.values[0]))
        await open_model(interaction, model.id, self.place)


def about(version: Version) -> str:
    """Say what tells a version from the others."""
    facts = [] if version.score is None else [_("score {score}").format(score=number(version.score, 2))]
    if version.steps is not None:
        facts.append(ngettext("{count} step", "{count} steps", version.steps))
    facts.append(ngettext("{count} photo", "{count} photos", version.photos))
    if version.made_at is not None:
        facts.append(f"{version.made_at:%Y-%m-%d}")
    return " · ".join(facts)


def version_row(model: Model, kept: Sequence[Version], place: Place) -> ui.ActionRow[Any] | None:
    """Offer the versions that there are; None where there is only one."""
    return ui.ActionRow(VersionMenu(model.id, model.version, kept, place)) if len(kept) > 1 else None
