"""The engine's process: spawned, fed, watched, killed when a step hangs, and started again when it dies.

The engine lives in a process of its own, so that a hung kernel, exhausted memory or a crash takes no queue consumer
along. It ends with its parent, since its standard input closes then. When it dies, the job whose step it was doing has
failed; every other is given to the next engine, a training with its newest checkpoint, so that nobody pays for a
neighbour's crash. Where the step was that of several, each of them goes on alone in the next engine: then it shows
whose fault it was.
"""

import asyncio
import contextlib
import logging
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from gpu_worker import pipe
from gpu_worker.settings import WorkerSettings
from storage.contract import FailureReason
from storage.worker_status import EngineStatus

log = logging.getLogger(__name__)
engine_log = logging.getLogger("gpu_worker.engine")

MAX_FAILED_STARTS = 3
MAX_HANGS = 3
"""So many in a row, with no job done in between, are the device's fault rather than the jobs'."""
MAX_RESTART_DELAY_SECONDS = 30.0
WATCH_SECONDS = 1.0
EXIT_SECONDS = 2.0
"""How long a process may take to end once it has closed its pipe."""

Stream = TypeVar("Stream", asyncio.StreamReader, asyncio.StreamWriter)


class EngineBroken(Exception):
    """The engine's process ends before its base model is loaded, or hangs, again and again."""


class EngineStopped(Exception):
    """The engine was told to stop; what it had in work is left to another worker."""


@dataclass
class _Work:
    """A job that waits for the engine or is in its hands; it is over with the engine's last report about it."""

    order: pipe.Train | pipe.Imagine
    sent: bool = False
    cancelled: bool = False
    reports: asyncio.Queue[pipe.JobReport | None] = field(default_factory=asyncio.Queue)
    over: asyncio.Event = field(default_factory=asyncio.Event)


def engine_command(settings: WorkerSettings) -> list[str]:
    command = [sys.executable, "-m", "gpu_worker.engine", "serve", "--base", settings.base_source]
    command += ["--device", settings.device, "--weights", settings.weights]
    command += ["--cache", str(settings.cache_dir.absolute())]
    command += ["--training-slots", str(settings.training_slots)]
    command += ["--compile"] if settings.compile else []
    if settings.fast_source:
        sampler = settings.fast_sampler if settings.fast_lora else "ddim"
        command += ["--fast-lora", settings.fast_source, "--fast-sampler", sampler]
        command += ["--fast-steps", str(settings.fast_steps)] if settings.fast_steps else []
        command += ["--fast-by-default"] if settings.fast_by_default else []
    if settings.preview_decoder:
        command += ["--preview-decoder", settings.preview_decoder]
    if settings.individuals_model:
        command += ["--individuals", settings.individuals_model, "--words", settings.words_model]
    return command + (["--threads", str(settings.threads)] if settings.threads else [])


class EngineProcess:
    def __init__(
        self,
        command: Sequence[str],
        *,
        start_seconds: float = 1800,
        step_seconds: float = 300,
        on_ready: Callable[[bool], None] = lambda _: None,
    ) -> None:
        """Remember how to start the engine. `on_ready` hears True once the base is loaded and False once it is gone."""
        self._command = command
        self._start_seconds, self._step_seconds = start_seconds, step_seconds
        self._on_ready = on_ready
        self._process: Process | None = None
        self._work: dict[str, _Work] = {}
        self._in_hand: set[str] = set()  # the jobs whose step the engine does; none until it has said so
        self._killed_because = ""
        self._hangs = 0
        self._quiet = 0.0  # seconds without a frame, as the watch counts them: it rests while we are frozen ourselves
        self._stopping = False
        self.about: pipe.Ready | None = None
        """What the engine said when it was ready for the last time; every life of it has the same base."""
        self.status: EngineStatus | None = None
        """What the engine said of itself last; None while there is none that is ready."""
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Keep an engine running until `stop`; raises `EngineBroken` when it cannot start or only hangs."""
        failed_starts, delay = 0, 0.0
        while not self._stopping:
            await asyncio.sleep(delay)
            was_ready = await self._live()
            failed_starts = 0 if was_ready else failed_starts + 1
            if failed_starts == MAX_FAILED_STARTS and not self._stopping:
                raise EngineBroken(f"the engine ended {failed_starts} times before its base model was loaded")
            if self._hangs == MAX_HANGS and not self._stopping:
                raise EngineBroken(f"the engine hung {self._hangs} times and finished no job in between")
            delay = 0.5 if was_ready else min(max(1.0, delay * 2), MAX_RESTART_DELAY_SECONDS)

    async def perform(self, order: pipe.Train | pipe.Imagine) -> AsyncGenerator[pipe.JobReport, None]:
        """Give the engine a job, once it is ready, and yield what it reports; the last report is one of `LAST`.

        An engine that dies over the job is reported as `JobFailed`, one that dies over another as a second `Began`.
        Raises `EngineStopped` when the engine was told to stop.
        """
        job = order.request.job
        while earlier := self._work.get(job):  # an attempt that was given up, until the engine lets go of it
            await earlier.over.wait()
        if self._stopping:
            raise EngineStopped(job)
        work = self._work[job] = _Work(order)
        try:
            self._send_waiting()
            while (report := await work.reports.get()) is not None:
                yield report
                if isinstance(report, pipe.LAST):
                    return
            raise EngineStopped(job)
        finally:
            if not work.over.is_set():
                self.cancel(job)

    def cancel(self, job: str) -> None:
        """Ask the engine to end a job; its last report tells what came of it."""
        work = self._work.get(job)
        if work is None or work.cancelled:
            return
        work.cancelled = True
        if work.sent:
            self._send(pipe.Cancel(job=job))
        else:
            self._report(pipe.JobCancelled(job=job))

    def prefetch(self, adapter: Path, digest: str) -> None:
        """Let the engine bring a model near that may soon be asked for; it is no matter if it does not."""
        if self.ready.is_set():
            self._send(pipe.Prefetch(adapter=adapter, digest=digest))

    async def stop(self, seconds: float) -> None:
        """Let the engine checkpoint what trains and end; kill it when that takes longer than `seconds`."""
        self._stopping = True
        process = self._process
        if process is None:
            self._bury("it was not running")
        elif not self.ready.is_set():
            self._kill("it is not needed any more")
        else:
            self._send(pipe.Stop())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await process.wait()
            self._kill(f"it did not stop within {seconds:g} s")

    async def _live(self) -> bool:
        """Run one process until it ends; returns whether its base model was loaded."""
        self._quiet, self._in_hand, self._killed_because = 0.0, set(), ""
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
        log.info("engine started as process %d", process.pid)
        if self._stopping:
            self._kill("it is not needed any more")
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch())
                group.create_task(_copy_log(_opened(process.stderr)))
                await self._read(_opened(process.stdout))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EXIT_SECONDS):
                        await process.wait()
                self._kill("it closed its pipe and went on")
                await process.wait()
                watch.cancel()
            return self.ready.is_set()
        finally:
            self._kill("the worker ends")
            how = self._killed_because or _in_words(await process.wait())
            log.log(logging.INFO if self._stopping else logging.ERROR, "engine ended: %s", how)
            self._bury(how)

    async def _read(self, stdout: asyncio.StreamReader) -> None:
        try:
            while True:
                (size,) = pipe.HEADER.unpack(await stdout.readexactly(pipe.HEADER.size))
                if size > pipe.MAX_FRAME_BYTES:
                    raise ValueError(f"a frame of {size} bytes")
                report = pipe.REPORT.validate_json(await stdout.readexactly(size))
                self._quiet = 0.0
                self._dispatch(report)
        except asyncio.IncompleteReadError:
            return
        except ValueError as error:
            self._kill(f"it sent what is no report ({type(error).__name__})")

    def _dispatch(self, report: pipe.Report) -> None:
        if isinstance(report, pipe.Ready):
            log.info("engine ready on %s, base %s", report.device, report.base_digest[:16])
            self.about = report
            self.ready.set()
            self._send_waiting()
            self._on_ready(True)
        elif isinstance(report, pipe.Alive):
            self._in_hand = {report.job, *report.others}
        elif isinstance(report, pipe.Status):
            self.status = report.engine
        else:
            self._report(report)

    def _report(self, report: pipe.JobReport) -> None:
        work = self._work.get(report.job)
        if work is None:
            return
        work.reports.put_nowait(report)
        if isinstance(report, pipe.TrainingDone | pipe.ImaginingDone):
            self._hangs = 0
        if isinstance(report, pipe.Checkpointed) and isinstance(work.order, pipe.Train):
            work.order = work.order.model_copy(update={"checkpoint": report.path})
        if isinstance(report, pipe.LAST):
            del self._work[report.job]
            work.over.set()

    async def _watch(self) -> None:
        """Kill the process when it is silent for too long while it has work or loads its base."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self._quiet = self._quiet + WATCH_SECONDS if self._work or not self.ready.is_set() else 0.0
            limit = self._step_seconds if self.ready.is_set() else self._start_seconds
            if self._quiet > limit:
                self._quiet = 0.0
                self._hangs += self.ready.is_set()
                self._kill(f"it said nothing for {limit:g} s")

    def _send_waiting(self) -> None:
        if not self.ready.is_set():
            return
        for work in self._work.values():
            if not work.sent:
                self._send(work.order)
                work.sent = True

    def _send(self, order: pipe.Order) -> None:
        """Write a frame; frames are small and the pipe's buffer grows, so that nobody waits for a busy engine."""
        if self._process is not None:
            _opened(self._process.stdin).write(pipe.encode(order))

    def _kill(self, why: str) -> None:
        if self._process is not None and self._process.returncode is None:
            log.warning("engine killed: %s", why)
            self._killed_because = why
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _bury(self, how: str) -> None:
        """Fail the job that the engine died over, if it is clear which; all others wait for the next engine."""
        self._process = None
        if self.ready.is_set():
            self.ready.clear()
            self.status = None
            self._on_ready(False)
        for job, work in list(self._work.items()):
            if self._stopping:
                del self._work[job]
                work.reports.put_nowait(None)
                work.over.set()
            elif work.sent and self._in_hand <= {job}:
                self._report(pipe.JobFailed(job=job, reason=FailureReason.ENGINE_DIED, detail=how))
            elif work.sent and work.cancelled:
                self._report(pipe.JobCancelled(job=job))
            else:
                work.sent = False
                if job in self._in_hand:
                    work.order = work.order.model_copy(update={"alone": True})


def _in_words(code: int) -> str:
    return f"it exited with code {code}" if code >= 0 else f"it was ended by {signal.Signals(-code).name}"


def _opened(stream: Stream | None) -> Stream:
    if stream is None:
        raise TypeError("the engine was started without a pipe")
    return stream


async def _copy_log(stderr: asyncio.StreamReader) -> None:
    """Pass the engine's log on line by line; a progress bar's carriage return ends a line as well."""
    rest = ""
    while chunk := await stderr.read(1 << 16):
        *lines, rest = re.split(r"[\r\n]+", rest + chunk.decode(errors="replace"))
        for line in filter(None, lines):
            engine_log.info("%s", line)
    if rest:
        engine_log.info("%s", rest)
