"""A worker's hold on one attempt: the lease, and whether anybody still wants the job."""

import asyncio
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
        self._since = time.monotonic()
        self.unwanted: Unwanted | None = None

    async def take(self) -> bool:
        """Take the lease; returns False when another worker has it."""
        return bool(await self._lease.acquire(blocking=False, token=self._holder))

    async def hold(self) -> None:
        """Renew the lease and look for reasons to end; runs until it is cancelled."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(min(LOOK_SECONDS, self._renew_seconds))
            if time.monotonic() - renewed >= self._renew_seconds:
                renewed = time.monotonic()
                await self._renew()
            await self.look()

    async def look(self) -> Unwanted | None:
        """Find out whether the attempt should end; a lost job stays lost, and a cancelled one cancelled."""
        cancelled, superseded = await self._redis.mget(cancel_key(self._job), request_key(self._job, self._attempt + 1))
        if superseded is not None:
            self.unwanted = Unwanted.LOST
        elif self.unwanted is None and cancelled is not None:
            self.unwanted = Unwanted.CANCELLED
        elif self.unwanted is None and time.monotonic() - self._since > self._limit_seconds:
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

    async def _renew(self) -> None:
        """Renew the lease, or take it again where it ran out while Redis was away or this process was frozen."""
        try:
            await self._lease.reacquire()
        except LockError:
            log.warning("job %s attempt %d: the lease had run out", self._job, self._attempt)
            if not await self.take():
                self.unwanted = Unwanted.LOST
