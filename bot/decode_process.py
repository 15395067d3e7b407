"""Feed photos to the decoding process, and start another when a photo has killed it."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from bot import decode
from bot.decode import FRAME, Problem, Verdict

SECONDS_TO_WAIT = 60.0
"""The child's own limit counts processor time alone; a busy machine may need this long."""
ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}
"""All that the child sees of ours: no token, no address. Fewer arenas keep its address space small."""


class DecodeProcess:
    """An async context manager that owns at most one child."""

    def __init__(self) -> None:
        self._child: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._end()

    async def decode(self, data: bytes) -> tuple[Verdict, bytes]:
        """Return the verdict on one photo and its clean PNG, empty when refused."""
        try:
            async with asyncio.timeout(SECONDS_TO_WAIT):
                return await self._ask(data)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            await self._end()
            return Verdict(problem=Problem.DAMAGED), b""

    async def _ask(self, data: bytes) -> tuple[Verdict, bytes]:
        child = self._child = self._child or await self._start()
        assert child.stdin is not None  # noqa: S101 -- both are pipes
        assert child.stdout is not None  # noqa: S101
        child.stdin.write(FRAME.pack(len(data)) + data)
        await child.stdin.drain()
        verdict = json.loads(await _read_frame(child.stdout))
        picture = await _read_frame(child.stdout)
        problem = verdict["problem"] and Problem(verdict["problem"])
        return Verdict(problem=problem, width=verdict["width"], height=verdict["height"]), picture

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(Path(decode.__file__)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=ENVIRONMENT,
        )

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()


async def _read_frame(stream: asyncio.StreamReader) -> bytes:
    (length,) = FRAME.unpack(await stream.readexactly(FRAME.size))
    return await stream.readexactly(length)
