"""Workers as processes of their own."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.gpu_worker.house import WAIT_SECONDS


@asynccontextmanager
async def worker_process(env_file: Path, **environment: str) -> AsyncIterator[Process]:
    """A worker of its own, with a scripted engine; what was not read of its log is thrown away at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.gpu_worker.scripted_worker",
        str(env_file),
        stdin=DEVNULL,
        stderr=PIPE,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def engine_of(worker: Process) -> int:
    """Return the process id of the worker's engine."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text(encoding="ascii").split()
            if children:
                return int(children[0])
            await asyncio.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
