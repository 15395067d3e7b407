"""Ending tasks that do not wish to end."""

import asyncio
from collections.abc import Iterable
from typing import Any

CANCEL_AGAIN_SECONDS = 0.5
FAREWELL_SECONDS = 4.0
"""The same for a task that has something to close, such as a queue."""


async def end(tasks: Iterable[asyncio.Task[Any]], again_seconds: float = CANCEL_AGAIN_SECONDS) -> None:
    """Cancel until all have ended: the Redis client may swallow a cancellation, above all after a freeze.

    What the tasks raise is left to whoever owns them.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=again_seconds)
