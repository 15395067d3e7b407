"""Run a worker: settings -> Redis -> blobs -> engine -> queues. `dreambot worker` and `python -m gpu_worker` do it."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from enum import IntEnum
from pathlib import Path

from obstore.exceptions import BaseError as BlobStoreError
from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError

from gpu_worker.ahead import fetch_ahead
from gpu_worker.attempt import run_attempt
from gpu_worker.class_images import ClassImages
from gpu_worker.ending import FAREWELL_SECONDS, end
from gpu_worker.engine_process import EngineBroken, EngineProcess, engine_command
from gpu_worker.heartbeat import beat
from gpu_worker.settings import WorkerSettings, load_settings, unique_name
from gpu_worker.shelf import Shelf
from gpu_worker.station import Station
from gpu_worker.status_server import application, serving
from gpu_worker.tasks import Queues
from gpu_worker.workspace import Workspace
from storage.blobs import Blobs
from storage.contract import JobKind, worker_key
from storage.faults import reach
from storage.redis_client import OUTAGE, address, client
from storage.worker_status import WorkerStatus, status_key

log = logging.getLogger("gpu_worker")

REDIS_WAIT_SECONDS = 30.0
"""How long a start waits for Redis, which may be starting itself."""

# A stop takes less than 30 s in all: pictures are finished, trainings checkpointed, and both brought away.
PICTURES_SECONDS = 7.0
ENGINE_STOP_SECONDS = 11.0
UPLOAD_SECONDS = 5.0


class Exit(IntEnum):
    """Exit codes, after sysexits.h, so that a supervisor can tell a wrong setting from an outage."""

    OK = 0
    UNAVAILABLE = 69
    ENGINE_BROKEN = 70
    SETTINGS = 78


class CannotStart(Exception):
    """Says in one line why the worker cannot start."""

    def __init__(self, code: Exit, line: str) -> None:
        super().__init__(line)
        self.code = code


def main(env_file: Path | None = None, engine: Sequence[str] | None = None) -> int:
    """Run until stopped; returns the exit code. Every way to fail at the start is one line on stderr.

    `engine` is the command that starts the engine; ours when none is given.
    """
    try:
        settings = load_settings(env_file)
        logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        return asyncio.run(_serve_until_signal(settings, engine or engine_command(settings)))
    except ValidationError as error:
        wrong = "; ".join(": ".join([*map(str.upper, map(str, item["loc"])), item["msg"]]) for item in error.errors())
        return _fail(Exit.SETTINGS, f"These settings are wrong: {wrong}")
    except CannotStart as error:
        return _fail(error.code, str(error))


async def serve(
    settings: WorkerSettings,
    command: Sequence[str],
    stopped: "asyncio.Future[Exit]",
    hurried: asyncio.Event | None = None,
) -> Exit:
    """Work until `stopped` is done, and set it when the engine proves broken. Raises `CannotStart`.

    The stop itself is cut short by `hurried`.
    """
    async with contextlib.AsyncExitStack() as stack:
        redis = await stack.enter_async_context(_open_redis(settings.redis_url.get_secret_value(), stopped))
        blobs, workspace = _open_folders(settings)
        stack.callback(workspace.close)
        name = unique_name(settings)

        def status() -> WorkerStatus:
            train, imagine = (queues.in_work(kind) for kind in (JobKind.TRAIN, JobKind.IMAGINE))
            return WorkerStatus(
                worker=name, base=settings.base, train_jobs=train, imagine_jobs=imagine, engine=engine.status
            )

        await _open_status(stack, settings, status)
        async with asyncio.TaskGroup() as group:
            engine = EngineProcess(
                command,
                start_seconds=settings.engine_start_seconds,
                step_seconds=settings.engine_step_seconds,
                on_ready=lambda ready: queues.open(ready and not stopped.done()),
            )
            station = Station(
                name=name,
                settings=settings,
                redis=redis,
                blobs=blobs,
                engine=engine,
                workspace=workspace,
                class_images=ClassImages(blobs, engine, settings.cache_dir),
                shelf=Shelf(blobs, workspace.models),
            )
            queues = Queues(settings, name, lambda *attempt: run_attempt(station, *attempt), group)
            running = group.create_task(_keep_running(engine, stopped))
            serving = [group.create_task(queues.serve(kind)) for kind in JobKind]
            serving.append(group.create_task(beat(redis, name, settings, engine, status)))
            serving.append(group.create_task(station.shelf.keep_tidy()))
            serving.append(group.create_task(fetch_ahead(redis, settings.base, station.shelf, engine)))
            log.info("worker %s serves base %s", name, settings.base)
            code = await stopped
            log.info("worker %s stops", name)
            await hand_over(queues, engine, hurried or asyncio.Event())
            await end((*serving, running), FAREWELL_SECONDS)
        await _say_farewell(redis, name)
    return code


async def hand_over(queues: Queues, engine: EngineProcess, hurried: asyncio.Event) -> None:
    """Finish the pictures, checkpoint the trainings, and leave what is not done in the queue; hurried, only the last.

    Either way the next worker goes on at once: what this one held is given back.
    """
    queues.open(False)
    async with asyncio.TaskGroup() as group:
        orderly = group.create_task(_wind_up(queues, engine))
        hurry = group.create_task(hurried.wait())
        await asyncio.wait({orderly, hurry}, return_when=asyncio.FIRST_COMPLETED)
        orderly.cancel()
        hurry.cancel()
    await engine.stop(0)
    queues.drop()


async def _wind_up(queues: Queues, engine: EngineProcess) -> None:
    await queues.settle(PICTURES_SECONDS, JobKind.IMAGINE)
    await engine.stop(ENGINE_STOP_SECONDS)
    reach("worker.engine_stopped")
    await queues.settle(UPLOAD_SECONDS)


async def _serve_until_signal(settings: WorkerSettings, command: Sequence[str]) -> Exit:
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[Exit] = loop.create_future()
    hurried = asyncio.Event()

    def stop() -> None:
        """Stop in order at the first signal, and at once at the second."""
        if stopped.done():
            hurried.set()
        else:
            stopped.set_result(Exit.OK)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return await serve(settings, command, stopped, hurried)


async def _keep_running(engine: EngineProcess, stopped: "asyncio.Future[Exit]") -> None:
    try:
        await engine.run()
    except EngineBroken as error:
        log.critical("%s; the lines above say why", error)
        if not stopped.done():
            stopped.set_result(Exit.ENGINE_BROKEN)


@contextlib.asynccontextmanager
async def _open_redis(url: str, stopped: "asyncio.Future[Exit]") -> AsyncIterator[Redis]:
    """Connect to Redis, with some patience at the start and endless patience later."""
    try:
        probe = client(url, patient=False)
    except ValueError as error:
        raise CannotStart(Exit.SETTINGS, f"REDIS_URL is no address of a Redis server: {error}") from None
    async with probe:
        await _wait_for_redis(probe, url, stopped)
    async with client(url, patient=True) as redis:
        yield redis


async def _wait_for_redis(probe: Redis, url: str, stopped: "asyncio.Future[Exit]") -> None:
    deadline = asyncio.get_running_loop().time() + REDIS_WAIT_SECONDS
    while not stopped.done():
        try:
            await probe.ping()
            return
        except AuthenticationError:
            raise CannotStart(Exit.SETTINGS, f"Redis at {address(url)} refuses the password in REDIS_URL.") from None
        except OUTAGE as error:
            if asyncio.get_running_loop().time() > deadline:
                line = f"Redis at {address(url)} does not answer ({type(error).__name__}). Start it, or set REDIS_URL."
                raise CannotStart(Exit.UNAVAILABLE, line) from None
            log.warning("waiting for Redis at %s", address(url))
        await asyncio.sleep(1)


async def _open_status(
    stack: contextlib.AsyncExitStack, settings: WorkerSettings, status: Callable[[], WorkerStatus]
) -> None:
    """Let others see how the worker stands, if they are to."""
    if settings.status_port is None:
        return
    server = serving(application(status), settings.status_host, settings.status_port)
    try:
        port = await stack.enter_async_context(server)
    except OSError as error:
        raise CannotStart(Exit.SETTINGS, f"STATUS_PORT cannot be used: {error}") from None
    log.info("status at http://%s:%d/status", settings.status_host, port)


def _open_folders(settings: WorkerSettings) -> tuple[Blobs, Workspace]:
    try:
        blobs = Blobs.open(settings.blob_url)
    except (OSError, ValueError, BlobStoreError) as error:
        raise CannotStart(Exit.SETTINGS, f"BLOB_URL cannot be opened: {str(error).splitlines()[0]}") from None
    try:
        return blobs, Workspace(settings.cache_dir)
    except OSError as error:
        raise CannotStart(Exit.SETTINGS, f"CACHE_DIR cannot be used: {error}") from None


async def _say_farewell(redis: Redis, name: str) -> None:
    with contextlib.suppress(RedisError, OSError, TimeoutError):
        async with asyncio.timeout(1):
            await redis.delete(worker_key(name), status_key(name))


def _fail(code: Exit, line: str) -> int:
    print(line, file=sys.stderr)  # noqa: T201 - the last word before the exit
    return code


if __name__ == "__main__":
    sys.exit(main())
