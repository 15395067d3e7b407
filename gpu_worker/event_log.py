"""What the worker tells the bot about one attempt: numbered events in the Redis Stream."""

import asyncio
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis

from storage.contract import EVENT_FIELD, EVENTS_STREAM, EventBase, request_key
from storage.faults import reach


class EventLog:
    """Events of one attempt. The first number is Redis' own time in milliseconds at the claim, the next ones follow.

    So a later run of the same attempt numbers its events above those of the run before, on whichever worker, and also
    after Redis has lost its data. While Redis is away events wait here, in their order, and nobody waits for them.
    """

    def __init__(
        self, redis: Redis, job: str, attempt: int, first: int, may_speak: Callable[[], Awaitable[bool]]
    ) -> None:
        """Before each event `may_speak` is asked whether the attempt is still ours; others are dropped."""
        self._redis = redis
        self._job, self._attempt, self._next = job, attempt, first
        self._may_speak = may_speak
        self._waiting: asyncio.Queue[str] = asyncio.Queue()

    @classmethod
    async def begin(cls, redis: Redis, job: str, attempt: int, may_speak: Callable[[], Awaitable[bool]]) -> "EventLog":
        seconds, microseconds = await redis.time()
        return cls(redis, job, attempt, seconds * 1000 + microseconds // 1000, may_speak)

    def tell(self, kind: type[EventBase], **fields: object) -> None:
        """Emit an event as soon as Redis takes it."""
        self._waiting.put_nowait(self._number(kind, fields))

    async def run(self) -> None:
        """Send what was told; runs until cancelled."""
        while True:
            event = await self._waiting.get()
            if await self._may_speak():
                await self._redis.xadd(EVENTS_STREAM, {EVENT_FIELD: event})
                reach("event.told")
            self._waiting.task_done()

    async def flush(self) -> None:
        """Wait until all that was told is sent."""
        await self._waiting.join()

    async def end(self, kind: type[EventBase], **fields: object) -> None:
        """Emit the attempt's last event; its request goes with it, so that a copy of the task finds nothing to do.

        Says nothing when the attempt is no longer ours. It may cease to be ours at the very moment of speaking, which
        does no harm: the bot knows which attempt it believes.
        """
        await self.flush()
        if not await self._may_speak():
            return
        reach("event.ending")
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xadd(EVENTS_STREAM, {EVENT_FIELD: self._number(kind, fields)})
            pipe.delete(request_key(self._job, self._attempt))
            await pipe.execute()

    def _number(self, kind: type[EventBase], fields: dict[str, object]) -> str:
        event = kind.model_validate({"job": self._job, "attempt": self._attempt, "seq": self._next, **fields})
        self._next += 1
        return event.model_dump_json()
