"""A worker's hold on one attempt: the lease, and whether anybody still wants the job."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from enum import Enum, auto

from redis.asyncio import Redis
from redis.exceptions import LockError

from storage.contract import cancel_key, lease_key, request_key

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""How often the worker looks whether the person has cancelled."""

RELEASE_SECONDS = 2.0
CONFIRM_SECONDS = 2.0


class Unwanted(Enum):
    """Why an attempt should end before its work is done."""

    CANCELLED = auto()
    LATE = auto()
    LOST = auto()
    """Another worker or a later attempt has the job and speaks for it."""


class Claim:
    """The lease is a Redis lock that holds the worker's name; it runs out by itself when the worker dies or freezes."""

    def __init__(
        self,
        redis: Redis,
        job: str,
        attempt: int,
        *,
        holder: str,
        lease_seconds: float,
        renew_seconds: float,
        limit_seconds: float,
        on_unwanted: Callable[[], None],
    ) -> None:
        """Prepare the claim; `on_unwanted` is called at every look for as long as the attempt should end."""
        self._redis, self._job, self._attempt = redis, job, attempt
        self._holder, self._renew_seconds, self._limit_seconds = holder, renew_seconds, limit_seconds
        self._on_unwanted = on_unwanted
        self._lease = redis.lock(lease_key(job, attempt), timeout=lease_seconds, thread_local=False)
        self._lease_seconds = lease_seconds
        self._since = self._renewed = _now()
        self._renewing = asyncio.Lock()
        self.unwanted: Unwanted | None = None

    async def take(self) -> bool:
        """Take the lease; returns False when another worker has it."""
        asked = _now()
        taken = bool(await self._lease.acquire(blocking=False, token=self._holder))
        if taken:
            self._renewed = asked
        return taken

    async def hold(self) -> None:
        """Renew the lease and look for reasons to end; runs until it is cancelled."""
        while True:
            await asyncio.sleep(min(LOOK_SECONDS, self._renew_seconds))
            await self._renew(self._renew_seconds)
            await self.look()

    async def holds(self) -> bool:
        """Tell whether the attempt is ours; asks Redis when we were away for so long that another may have it."""
        if self.unwanted is not Unwanted.LOST and _now() - self._renewed > self._lease_seconds:
            await self._renew(self._lease_seconds)
            await self.look()
        return self.unwanted is not Unwanted.LOST

    async def seems_held(self) -> bool:
        """The same for what may go on while Redis is away: without an answer the attempt counts as ours."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CONFIRM_SECONDS):
                return await self.holds()
        return True

    async def look(self) -> Unwanted | None:
        """Find out whether the attempt should end; a lost job stays lost, and a cancelled one cancelled."""
        cancelled, superseded = await self._redis.mget(cancel_key(self._job), request_key(self._job, self._attempt + 1))
        if superseded is not None:
            self.unwanted = Unwanted.LOST
        elif self.unwanted is None and cancelled is not None:
            self.unwanted = Unwanted.CANCELLED
        elif self.unwanted is None and _now() - self._since > self._limit_seconds:
            self.unwanted = Unwanted.LATE
        if self.unwanted is not None:
            self._on_unwanted()
        return self.unwanted

    async def release(self) -> None:
        """Give the lease back; where Redis does not answer it runs out by itself."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._lease.release()
        except (LockError, TimeoutError):
            log.warning("job %s attempt %d: the lease could not be given back", self._job, self._attempt)

    async def _renew(self, older_than: float) -> None:
        """Renew a lease of that age, or take it again where it is gone and nobody else can have had the attempt.

        A lease that is gone although we were in time is one that Redis has lost, with all else. Where we were late,
        because this process or its machine was frozen or Redis out of reach, the attempt may have been taken from us
        and even be done: its request tells, for the bot deletes that of an attempt which it gives up or which ended.
        """
        async with self._renewing:
            asked = _now()
            if asked - self._renewed < older_than:
                return
            try:
                await self._lease.reacquire()
                self._renewed = asked
                return
            except LockError:
                log.warning("job %s attempt %d: the lease had run out", self._job, self._attempt)
            in_time = _now() - self._renewed <= self._lease_seconds
            wanted = in_time or await self._redis.exists(request_key(self._job, self._attempt))
            if not wanted or not await self.take():
                self.unwanted = Unwanted.LOST


def _now() -> float:
    """Return seconds that also pass while the machine sleeps, which `time.monotonic` does not count."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
