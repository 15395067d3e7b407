"""Waiting for what other tasks and processes do."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(look: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    """Look again and again until it is so; raises `TimeoutError` when it does not come to be."""
    async with asyncio.timeout(seconds):
        while not await look():  # noqa: ASYNC110 - nobody on the other side could set an event
            await asyncio.sleep(0.02)
