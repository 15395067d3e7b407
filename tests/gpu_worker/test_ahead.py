"""Hints to fetch a model before it is asked for: followed when there is time, and no loss when not."""

import asyncio
import hashlib
from pathlib import Path

from redis.asyncio import Redis

from gpu_worker.ahead import NEWEST, fetch_ahead
from gpu_worker.engine_process import EngineProcess
from gpu_worker.shelf import Shelf
from storage.blobs import Blobs
from storage.contract import Adapter, ahead_channel
from tests.waiting import until


class Listening(EngineProcess):
    """An engine that is ready, and notes what it is to fetch."""

    def __init__(self) -> None:
        super().__init__([])
        self.fetched: list[tuple[bytes, str]] = []
        self.ready.set()

    def prefetch(self, adapter: Path, digest: str) -> None:
        self.fetched.append((adapter.read_bytes(), digest))


async def published(blobs: Blobs, number: int) -> Adapter:
    content = f"model {number}".encode()
    adapter = Adapter(model=f"{number:032x}", key=f"models/{number}/a", digest=hashlib.sha256(content).hexdigest())
    await blobs.put(adapter.key, content)
    return adapter


async def test_hints_are_followed_the_newest_first_of_all(redis: Redis, blobs: Blobs, tmp_path: Path) -> None:
    engine, shelf = Listening(), Shelf(blobs, tmp_path / "shelf")
    adapters = [await published(blobs, number) for number in range(10)]
    gone = Adapter(model="f" * 32, key="models/gone/a", digest="0" * 64)

    async def hint(*hints: str) -> None:
        for text in hints:
            await redis.publish(ahead_channel("demo"), text)

    async def listening() -> bool:
        return bool((await redis.pubsub_numsub(ahead_channel("demo")))[0][1])

    async def fetched(adapter: Adapter) -> bool:
        return any(digest == adapter.digest for _, digest in engine.fetched)

    async with asyncio.TaskGroup() as group:
        following = group.create_task(fetch_ahead(redis, "demo", shelf, engine))
        await until(listening)
        await hint("no hint at all", gone.model_dump_json(), adapters[0].model_dump_json())
        await until(lambda: fetched(adapters[0]))
        assert engine.fetched == [(b"model 0", adapters[0].digest)]
        assert (tmp_path / "shelf" / adapters[0].digest).read_bytes() == b"model 0"

        engine.ready.clear()
        await hint(adapters[1].model_dump_json())
        engine.ready.set()
        await hint(*(adapter.model_dump_json() for adapter in adapters[2:]))
        await until(lambda: fetched(adapters[9]))
        following.cancel()
    assert len(adapters) > NEWEST
    assert {path.name for path in tmp_path.iterdir()} <= {"shelf", "blobs"}
