"""What the worker tells the bot about one attempt: numbered events in the Redis Stream."""

from redis.asyncio import Redis

from storage.contract import EVENT_FIELD, EVENTS_STREAM, EventBase, request_key
from storage.faults import reach


class EventLog:
    """Events of one attempt. The first number is Redis' own time in milliseconds at the claim, the next ones follow.

    So a later run of the same attempt numbers its events above those of the run before, on whichever worker, and also
    after Redis has lost its data.
    """

    def __init__(self, redis: Redis, job: str, attempt: int, first: int) -> None:
        self._redis = redis
        self._job, self._attempt, self._next = job, attempt, first

    @classmethod
    async def begin(cls, redis: Redis, job: str, attempt: int) -> "EventLog":
        seconds, microseconds = await redis.time()
        return cls(redis, job, attempt, seconds * 1000 + microseconds // 1000)

    async def emit(self, kind: type[EventBase], **fields: object) -> None:
        await self._redis.xadd(EVENTS_STREAM, {EVENT_FIELD: self._number(kind, fields)})
        reach("event.told")

    async def end(self, kind: type[EventBase], **fields: object) -> None:
        """Emit the attempt's last event; its request goes with it, so that a copy of the task finds nothing to do."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.xadd(EVENTS_STREAM, {EVENT_FIELD: self._number(kind, fields)})
            pipe.delete(request_key(self._job, self._attempt))
            await pipe.execute()

    def _number(self, kind: type[EventBase], fields: dict[str, object]) -> str:
        event = kind.model_validate({"job": self._job, "attempt": self._attempt, "seq": self._next, **fields})
        self._next += 1
        return event.model_dump_json()
