"""Tells whether this machine's worker lives: `python -m gpu_worker.health` exits 0 or 1, for a health check."""

import asyncio
import sys

from gpu_worker.settings import WorkerSettings, load_settings
from storage.contract import worker_key
from storage.redis_client import OUTAGE, client


async def lives(settings: WorkerSettings) -> bool:
    """Look for the key that a worker of this name renews; False also when Redis cannot be asked."""
    async with client(settings.redis_url.get_secret_value(), patient=False) as redis:
        try:
            async for _ in redis.scan_iter(match=worker_key(f"{settings.worker_name}*")):
                return True
        except OUTAGE:
            return False
    return False


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(lives(load_settings())) else 1)
