"""Fetches models that may soon be asked for, while nobody waits for them.

Hints come over a Redis channel, which keeps nothing: a worker that is away or busy fetching misses some, and whoever
asks for such a model waits for it as ever.
"""

import asyncio
import logging

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from gpu_worker.engine_process import EngineProcess
from gpu_worker.patience import STORE_OUTAGE
from gpu_worker.shelf import Shelf
from storage.contract import Adapter, ahead_channel
from storage.errors import BlobMissing
from storage.redis_client import OUTAGE, Pauses

log = logging.getLogger(__name__)

NEWEST = 4
"""Of the hints that came while one was followed, so many are followed."""
REST_SECONDS = 15.0
PAUSE = Pauses(cap=10, base=0.2)


async def fetch_ahead(redis: Redis, base: str, shelf: Shelf, engine: EngineProcess) -> None:
    """Follow hints until cancelled."""
    failures = 0
    while True:
        try:
            async with redis.pubsub(ignore_subscribe_messages=True) as hints:
                await hints.subscribe(ahead_channel(base))
                failures = 0
                while True:
                    for hint in await _newest(hints):
                        await _follow(hint, shelf, engine)
        except OUTAGE as error:
            log.debug("no hints for now: %s", type(error).__name__)
        await asyncio.sleep(PAUSE.compute(failures := failures + 1))


async def _newest(hints: PubSub) -> list[bytes]:
    """Wait for a hint, and return the newest of those that have come."""
    came: list[bytes] = []
    message = await hints.get_message(timeout=REST_SECONDS)
    while message is not None:
        came.append(message["data"])
        message = await hints.get_message(timeout=0)
    return came[-NEWEST:]


async def _follow(hint: bytes, shelf: Shelf, engine: EngineProcess) -> None:
    if not engine.ready.is_set():
        return
    try:
        adapter = Adapter.model_validate_json(hint)
        path = await shelf.stock(adapter)
    except (ValidationError, BlobMissing, *STORE_OUTAGE) as error:
        log.debug("a hint was not followed: %s", type(error).__name__)
        return
    if path is not None:
        engine.prefetch(path, adapter.digest)
