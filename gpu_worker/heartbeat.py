"""The sign by which the bot sees that a worker can take jobs."""

import asyncio

from redis.asyncio import Redis

from gpu_worker.engine_process import EngineProcess
from gpu_worker.settings import WorkerSettings
from storage.contract import worker_key


async def beat(redis: Redis, name: str, settings: WorkerSettings, engine: EngineProcess) -> None:
    """Renew the worker's key while its engine is ready; runs until cancelled."""
    milliseconds = round(settings.lease_seconds * 1000)
    while True:
        await engine.ready.wait()
        await redis.set(worker_key(name), settings.base, px=milliseconds)
        await asyncio.sleep(settings.lease_renew_seconds)
