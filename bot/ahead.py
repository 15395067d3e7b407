"""Tells workers whose model may soon be asked for, so that it is there when it is.

A hint is worth something now or never: it goes out at once or is dropped, nobody waits for it, and nothing breaks
without it.
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import datetime, timedelta

from redis.asyncio import ConnectionPool, Redis

from bot.loops import Wake, forever
from storage.contract import Adapter, ahead_channel
from storage.redis_client import OUTAGE
from storage.schema import Model, ModelStatus

log = logging.getLogger(__name__)

AGAIN = timedelta(minutes=1)
"""A model is not told of again before."""
MOST_WAITING = 32
MOST_REMEMBERED = 1024
REST_SECONDS = 60.0


class Ahead:
    def __init__(self, pool: ConnectionPool, clock: Callable[[], datetime]) -> None:
        self._redis, self._clock = Redis(connection_pool=pool), clock
        self._waiting: deque[tuple[str, Adapter]] = deque(maxlen=MOST_WAITING)
        self._told: OrderedDict[str, datetime] = OrderedDict()
        self._wake = Wake(REST_SECONDS)

    def expect(self, model: Model) -> None:
        """Note that somebody may be about to draw with the model; what was noted lately is not noted again."""
        if model.status is not ModelStatus.READY or model.adapter_key is None or model.adapter_digest is None:
            return
        now, digest = self._clock(), model.adapter_digest
        if digest in self._told and now - self._told[digest] < AGAIN:
            return
        self._told[digest] = now
        self._told.move_to_end(digest)
        if len(self._told) > MOST_REMEMBERED:
            self._told.popitem(last=False)
        self._waiting.append((model.base, Adapter(model=model.id, key=model.adapter_key, digest=digest)))
        self._wake()

    async def run(self) -> None:
        await forever("telling of models ahead", self._tell, self._wake.rest)

    async def _tell(self) -> None:
        while self._waiting:
            base, adapter = self._waiting.popleft()
            try:
                await self._redis.publish(ahead_channel(base), adapter.model_dump_json())
            except OUTAGE:
                self._waiting.clear()
