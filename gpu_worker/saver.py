"""Checkpoints on their way to the blob store, beside everything else that an attempt does."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gpu_worker.patience import STORE_OUTAGE
from gpu_worker.pipe import Checkpointed

log = logging.getLogger(__name__)


class Saver:
    """Stores one checkpoint at a time; of several that wait only the newest is worth it.

    A checkpoint is an insurance: one that cannot be stored is left, for the next will come, and the training goes on.
    """

    def __init__(self, store: Callable[[Checkpointed], Awaitable[None]]) -> None:
        self._store = store
        self._waiting: asyncio.Queue[Checkpointed] = asyncio.Queue()

    def offer(self, report: Checkpointed) -> None:
        self._drop()
        self._waiting.put_nowait(report)

    async def run(self) -> None:
        """Store what is offered; runs until cancelled."""
        while True:
            report = await self._waiting.get()
            try:
                await self._store(report)
            except STORE_OUTAGE as error:
                log.warning("job %s: the checkpoint of step %d was not stored: %s", report.job, report.step, error)
            finally:
                self._waiting.task_done()

    async def finish(self) -> None:
        """Wait until what was offered is stored."""
        await self._waiting.join()

    async def give_up(self) -> None:
        """Drop what waits and wait for what is on its way, so that nothing is written after this."""
        self._drop()
        await self._waiting.join()

    def _drop(self) -> None:
        while not self._waiting.empty():
            self._waiting.get_nowait()
            self._waiting.task_done()
