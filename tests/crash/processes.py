"""Processes that are started again whenever they end, as a supervisor does in production."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

RESTART_SECONDS = 0.2
STOP_SECONDS = 40.0


@dataclass(kw_only=True)
class Kept:
    """One process that is kept running."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    process: asyncio.subprocess.Process | None = None
    codes: list[int] = field(default_factory=list)
    """How its lives ended."""
    wanted: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pid(self) -> int | None:
        alive = self.process is not None and self.process.returncode is None
        return self.process.pid if alive and self.process else None

    async def keep(self) -> None:
        """Run it again and again, while it is wanted, until cancelled; then end it in order."""
        try:
            while True:
                await self.wanted.wait()
                await self._live()
                await asyncio.sleep(RESTART_SECONDS)
        finally:
            await self._end()

    def send(self, number: signal.Signals) -> None:
        if self.pid is not None:
            os.kill(self.pid, number)

    async def _live(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, env={**os.environ, **self.environment}, cwd=self.folder,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.codes.append(await self.process.wait())

    async def _end(self) -> None:
        if self.process is None or self.process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGCONT)
            self.process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self.process.wait()
            except TimeoutError:
                os.killpg(self.process.pid, signal.SIGKILL)
                await self.process.wait()


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]
