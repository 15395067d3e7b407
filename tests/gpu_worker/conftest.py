"""A person who asks, and the settings of a worker that answers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gpu_worker.settings import WorkerSettings
from storage.blobs import Blobs
from tests.gpu_worker.house import Asker, asking, worker_settings


@pytest.fixture
async def asker(redis_url: str, blobs: Blobs) -> AsyncIterator[Asker]:
    async with asking(redis_url, blobs) as opened:
        yield opened


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> WorkerSettings:
    return worker_settings(redis_url, tmp_path)


@pytest.fixture
def env_file(tmp_path: Path, redis_url: str) -> Path:
    path = tmp_path / "worker.env"
    path.write_text(
        f"REDIS_URL={redis_url}\nBLOB_URL={tmp_path / 'blobs'}\nCACHE_DIR={tmp_path / 'cache'}\n"
        "WORKER_NAME=child\nLEASE_SECONDS=2\nLEASE_RENEW_SECONDS=0.5\n",
        encoding="utf-8",
    )
    return path
