"""Whether a server lets the bot make something where it was asked to."""

from typing import TYPE_CHECKING

import discord

from storage.channels import check_open_channel

if TYPE_CHECKING:
    from bot.app import Dreambot


async def check_channel(interaction: "discord.Interaction[Dreambot]") -> None:
    """Ask before anything is made; a thread is where its channel is. Raises `WrongChannel`."""
    if interaction.guild_id is None or interaction.channel_id is None:
        return
    above = getattr(interaction.channel, "parent_id", None), getattr(interaction.channel, "category_id", None)
    places = [place for place in (interaction.channel_id, *above) if place is not None]
    async with interaction.client.services.database.read() as session:
        await check_open_channel(session, interaction.guild_id, places)
