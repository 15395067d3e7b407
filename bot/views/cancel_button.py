"""The button that stops a job. Anybody may see it; only the job's owner may use it."""

import re
from typing import Any, Self

import discord

from bot.acknowledging import acknowledge
from bot.cancellation import cancel
from bot.language import _
from bot.replies import pressed, reply


class CancelButton(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"job:(?P<id>[0-9a-f]{32}):cancel"):
    def __init__(self, job_id: str) -> None:
        button: discord.ui.Button[Any] = discord.ui.Button(
            label=_("Cancel"), style=discord.ButtonStyle.secondary, custom_id=f"job:{job_id}:cancel"
        )
        super().__init__(button)
        self.job_id = job_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["id"])

    @pressed
    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await acknowledge(interaction, ephemeral=True, thinking=True)
        await reply(interaction, await cancel(interaction.client.services, self.job_id, interaction.user.id))
