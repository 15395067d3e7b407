"""Patience with the blob store: what fails because it is away, or full, is tried again for a while."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from obstore.exceptions import BaseError as BlobStoreError
from redis.backoff import FullJitterBackoff

log = logging.getLogger(__name__)

STORE_OUTAGE = (BlobStoreError, OSError)
"""What a blob store raises while it does not work."""
RETRY_SECONDS = 120.0
"""An object store's client has tried for longer by itself when it fails; this is for folders, local or shared."""

T = TypeVar("T")


async def patiently(do: Callable[[], Awaitable[T]], *, wanted: Callable[[], bool]) -> T:
    """Do something that may be done again, until it works, nobody wants it any more, or patience is at its end.

    Raises the last failure then.
    """
    backoff, deadline, failures = FullJitterBackoff(cap=10, base=0.2), time.monotonic() + RETRY_SECONDS, 0
    while True:
        try:
            return await do()
        except STORE_OUTAGE as error:
            failures += 1
            if time.monotonic() > deadline or not wanted():
                raise
            log.warning("the blob store failed (%s), trying again", type(error).__name__)
        await asyncio.sleep(backoff.compute(failures))
