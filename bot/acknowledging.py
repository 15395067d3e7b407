"""Acknowledge first: Discord waits three seconds for a sign, and a quarter of an hour for what comes after it.

So when more is asked than can be done at once, those who have had no sign yet go before the answers of the others.
"""

import asyncio
import contextlib
from typing import TYPE_CHECKING

import discord

if TYPE_CHECKING:
    from bot.app import Dreambot

MOST_SECONDS = 5.0
"""How long an answer gives way to other people's signs."""
SHORT_SECONDS = 0.0005
"""A round of the event loop that takes less has hardly begun anything for anybody."""


class Lull:
    """Waits until the event loop has next to nothing else to do; those who wait go on one by one, in their order."""

    def __init__(self, most_seconds: float = MOST_SECONDS) -> None:
        self._most_seconds, self._turn = most_seconds, asyncio.Lock()

    async def __call__(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._most_seconds), self._turn:
                while await _round() > SHORT_SECONDS:
                    pass


async def _round() -> float:
    """Return the seconds in which the event loop goes once through what is ready."""
    clock = asyncio.get_running_loop().time
    began = clock()
    await asyncio.sleep(0)
    return clock() - began


async def acknowledge(
    interaction: "discord.Interaction[Dreambot]", *, ephemeral: bool = False, thinking: bool = False
) -> None:
    """Give the sign that an answer follows, and let the signs that others wait for go before that answer."""
    await interaction.response.defer(ephemeral=ephemeral, thinking=thinking)
    await interaction.client.services.lull()
