"""The signs by which the bot sees that a worker can take jobs, and how it stands."""

import asyncio
from collections.abc import Callable

from redis.asyncio import Redis

from gpu_worker.engine_process import EngineProcess
from gpu_worker.settings import WorkerSettings
from storage.contract import worker_key
from storage.worker_status import WorkerStatus, status_key


async def beat(
    redis: Redis, name: str, settings: WorkerSettings, engine: EngineProcess, status: Callable[[], WorkerStatus]
) -> None:
    """Renew the worker's keys while its engine is ready; runs until cancelled."""
    milliseconds = round(settings.lease_seconds * 1000)
    while True:
        await engine.ready.wait()
        await redis.set(worker_key(name), settings.base, px=milliseconds)
        await redis.set(status_key(name), status().model_dump_json(), px=milliseconds)
        await asyncio.sleep(settings.lease_renew_seconds)
