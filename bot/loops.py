"""Work that is done again and again for as long as the bot runs, whatever fails in between."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from redis.backoff import FullJitterBackoff

from storage.redis_client import OUTAGE

log = logging.getLogger(__name__)

PAUSE = FullJitterBackoff(cap=10, base=0.2)


class Wake:
    """Lets a loop rest for a while, or until somebody has news for it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._news = asyncio.Event()

    def __call__(self) -> None:
        self._news.set()

    async def rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                await self._news.wait()
        self._news.clear()


async def forever(name: str, work: Callable[[], Awaitable[None]], rest: Callable[[], Awaitable[None]]) -> None:
    """Work, rest, and work again. What fails is logged and tried anew after a pause that grows, with full jitter."""
    failures = 0
    while True:
        try:
            await work()
        except OUTAGE as error:
            failures += 1
            log.log(
                logging.WARNING if failures == 1 else logging.DEBUG, "%s: waiting for %s", name, type(error).__name__
            )
            await asyncio.sleep(PAUSE.compute(failures))
        except Exception:
            failures += 1
            log.exception("%s failed", name)
            await asyncio.sleep(PAUSE.compute(failures))
        else:
            if failures:
                log.info("%s: working again", name)
            failures = 0
            await rest()
