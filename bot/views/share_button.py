"""The button by which an owner lets everybody in the server draw with a model."""

import re
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import ui

from bot.access import own_model
from bot.language import _
from bot.markup import bold
from bot.replies import pressed, reply
from storage.sharing import share_model

if TYPE_CHECKING:
    from bot.app import Dreambot


class ShareButton(ui.DynamicItem[ui.Button[Any]], template=r"model:(?P<model>[0-9a-f]{32}):share"):
    def __init__(self, model_id: str) -> None:
        super().__init__(ui.Button(label=_("Share with this server"), custom_id=f"model:{model_id}:share"))
        self.model_id = model_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["model"])

    @pressed
    async def callback(self, interaction: "discord.Interaction[Dreambot]") -> None:
        guild_id = interaction.guild_id
        async with interaction.client.services.database.write() as session:
            model = await own_model(session, self.model_id, interaction.user.id)
            if guild_id is not None:
                await share_model(session, model.id, model.owner_id, guild_id)
        if guild_id is None:  # the message came directly, for its channel was out of reach
            said = _("Open {name} with `/models` in the server that you want to share it with.")
        else:
            said = _("Everybody here can now draw with {name}. You can take that back in `/models`.")
        await reply(interaction, said.format(name=bold(model.name)))
