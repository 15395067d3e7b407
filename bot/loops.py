"""Work that is done again and again for as long as the bot runs, whatever fails in between."""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

from storage.redis_client import OUTAGE, Pauses

log = logging.getLogger(__name__)

CANCEL_AGAIN_SECONDS = 0.5

Loop = Callable[[], Awaitable[None]]

PAUSE = Pauses(cap=10, base=0.2)


class Wake:
    """Lets a loop rest for a while, or until somebody has news for it; news that come close together share a round."""

    def __init__(self, seconds: float, *, apart: float = 0.0) -> None:
        """`apart` is how many seconds lie at least between two rests that end."""
        self._seconds, self._apart = seconds, apart
        self._news = asyncio.Event()
        self._woke_at = -math.inf

    def __call__(self) -> None:
        self._news.set()

    async def rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                await self._news.wait()
        clock = asyncio.get_running_loop().time
        if (early := self._woke_at + self._apart - clock()) > 0:
            await asyncio.sleep(early)
        self._woke_at = clock()
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


@contextlib.asynccontextmanager
async def running(loops: Sequence[Loop]) -> AsyncIterator[None]:
    """Run the loops beside the body; if one fails, the body is cancelled and the failure raised."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_in_task(loop)) for loop in loops]
        try:
            yield
        finally:
            await _end(tasks)


async def _in_task(loop: Loop) -> None:
    await loop()


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: a client that is just connecting may swallow a cancellation."""
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)
