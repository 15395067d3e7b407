"""Workers' events -> rows: read from a Redis Stream by a consumer group, applied once, and only then acknowledged."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from pydantic import ValidationError
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import ResponseError
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from bot.loops import forever
from storage.contract import EVENT, EVENT_FIELD, EVENTS_GROUP, EVENTS_STREAM, TERMINAL, AnyEvent, request_key
from storage.database import Database
from storage.events import apply_event
from storage.faults import reach

log = logging.getLogger(__name__)

CONSUMER = "bot"
"""One fixed name, so that the next run finds what this one had read and not acknowledged."""
BATCH = 100
BLOCK_MS = 5_000
PENDING, NEW = "0", ">"

Entry = tuple[bytes, dict[bytes, bytes] | None]


class EventReader:
    def __init__(
        self,
        database: Database,
        pool: ConnectionPool,
        clock: Callable[[], datetime],
        *,
        on_applied: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_applied` is called after rows have changed."""
        self._database, self._clock, self._on_applied = database, clock, on_applied
        self._redis = Redis(connection_pool=pool)
        self._position: str | None = None

    async def run(self) -> None:
        await forever("the event reader", self.read, _at_once)

    async def read(self, block_ms: int = BLOCK_MS) -> None:
        """Apply the next batch; waits up to `block_ms` for one. After any failure it begins with what is pending."""
        position, self._position = self._position, None
        if position is None:
            await self._join_group()
            position = PENDING
        entries = await self._fetch(position, block_ms)
        if entries:
            await self._apply(entries)
        self._position = PENDING if entries and position == PENDING else NEW

    async def _join_group(self) -> None:
        try:
            await self._redis.xgroup_create(EVENTS_STREAM, EVENTS_GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _fetch(self, position: str, block_ms: int) -> Sequence[Entry]:
        answer = await self._redis.xreadgroup(
            EVENTS_GROUP, CONSUMER, {EVENTS_STREAM: position}, count=BATCH, block=block_ms
        )
        return answer[0][1] if answer else ()

    async def _apply(self, entries: Sequence[Entry]) -> None:
        """Commit the rows, then drop the entries. Dying in between brings them back, and the inbox refuses them."""
        reach("events.read")
        known = [(name, event) for name, fields in entries if (event := _parse(name, fields)) is not None]
        changed = False
        async with self._database.write() as session:
            for _, event in known:
                changed |= await self._apply_one(session, event)
            reach("events.written")
        reach("events.applied")
        async with self._redis.pipeline(transaction=True) as pipe:
            names = [name for name, _ in entries]
            pipe.xack(EVENTS_STREAM, EVENTS_GROUP, *names)
            pipe.xdel(EVENTS_STREAM, *names)
            for _, event in known:
                if event.kind in TERMINAL:
                    pipe.delete(request_key(event.job, event.attempt))
            await pipe.execute()
        reach("events.acknowledged")
        if changed:
            self._on_applied()

    async def _apply_one(self, session: AsyncSession, event: AnyEvent) -> bool:
        """Apply an event; one that the rows refuse is dropped, so that it cannot stand before all that follow."""
        try:
            async with session.begin_nested():
                return await apply_event(session, event, self._clock()) is not None
        except (IntegrityError, DataError, OverflowError):
            log.exception("job %s: an event %s that the rows refuse", event.job, event.kind)
            return False


def _parse(name: bytes, fields: dict[bytes, bytes] | None) -> AnyEvent | None:
    try:
        return EVENT.validate_json((fields or {})[EVENT_FIELD.encode()])
    except KeyError:
        log.warning("the entry %s of the stream holds no event", name.decode())
    except ValidationError as error:
        log.warning("the entry %s of the stream was refused: %d errors", name.decode(), error.error_count())
    return None


async def _at_once() -> None:
    """There is nothing to rest for: reading itself waits."""
