"""How soon the bot answers when many people use it at once: commands and typing in a database of years.

This process is Discord: it sends interactions over the gateway at a steady rate, whatever the bot makes of them, and
takes the time until the bot has acknowledged each over HTTP. The bot is a process of its own with its real parts; no
worker runs, for what comes after the acknowledgement is other benchmarks' matter.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import psutil
from aiohttp import web

from benchmarks._crowd import CHANNELS, FIRST_PERSON, NAMES, Crowd, fill
from bot.consent import ConsentText
from bot.playground.processes import redis_server, stop
from bot.settings import BotSettings
from storage.database import Database
from tests.crash import people
from tests.crash.discord_server import DISCORD, TOKEN, answer, application

QUICK, FULL = Crowd(1_000, 10_000, 100_000), Crowd(10_000, 100_000, 1_000_000)
WARM_UP_SECONDS, PATIENCE = 3.0, 10.0
LATE_MS = 3_000
"""Discord gives up on what is not acknowledged by then."""
TYPING = "typing"
MIX = {TYPING: 50, "imagine": 20, "models": 12, "jobs": 8, "usage": 5, "settings": 5}
"""How often each is done: people type several letters for every picture that they ask for."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Clock:
    """When each interaction was sent and acknowledged."""

    sent: dict[str, tuple[str, float]] = field(default_factory=dict)
    acknowledged: dict[str, float] = field(default_factory=dict)

    def milliseconds(self, wanted: Callable[[str], bool]) -> list[float]:
        """Return what each took; what was never acknowledged took forever."""
        return sorted(
            (self.acknowledged.get(number, float("inf")) - at) * 1000
            for number, (what, at) in self.sent.items()
            if wanted(what)
        )


@contextlib.asynccontextmanager
async def discord(clock: Clock) -> AsyncIterator[tuple[str, web.Application]]:
    """Serve as Discord on loopback and note each acknowledgement; what the bot posts besides is taken and forgotten."""

    @web.middleware
    async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
        parts = request.path.split("/")
        if parts[1] == "interactions":
            clock.acknowledged[parts[2]] = time.monotonic()
            await request.read()
            return answer({"interaction": {"id": parts[2], "type": 2}})
        if request.method in {"POST", "PATCH"} and parts[1] in {"channels", "webhooks"}:
            await request.read()
            return answer(some_message | {"id": str(people.snowflake())})
        return await handler(request)

    application_of = application(StringIO(), Path())
    some_message = application_of[DISCORD].create("0", {}, []).shown()
    application_of.middlewares.insert(0, note)
    runner = web.AppRunner(application_of)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", application_of
    await runner.cleanup()


@contextlib.asynccontextmanager
async def bot(folder: Path, url: str, redis_url: str) -> AsyncIterator[psutil.Process]:
    settings = {
        "DISCORD_TOKEN": TOKEN, "DISCORD_API_URL": url, "REDIS_URL": redis_url, "FILES_PORT": "0",
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/crowd.db", "BLOB_URL": str(folder / "blobs"),
        "MAX_PICTURES_PER_DAY": "0", "LOG_LEVEL": "WARNING",
    }  # fmt: skip
    with (folder / "bot.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", env={**os.environ, **settings}, cwd=folder, stderr=log, start_new_session=True
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        await stop(process)


def something(crowd: Crowd, chance: random.Random) -> tuple[str, dict[str, Any]]:
    """Return what somebody does next, and the interaction that tells the bot."""
    (what,) = chance.choices(list(MIX), list(MIX.values()))
    person, channel = FIRST_PERSON + chance.randrange(crowd.people), chance.randrange(CHANNELS) + 1
    if what == TYPING:
        name = chance.choice(NAMES)
        return what, people.type_model(person, channel, name[: chance.randint(0, len(name))])
    if what == "imagine":
        return what, people.imagine(person, channel, "a castle on the moon", {"count": 1})
    return what, people.command(person, channel, what)


async def feed(app: web.Application, clock: Clock, crowd: Crowd, rate: float, seconds: float) -> None:
    """Send interactions at a steady rate; one that is due goes out even if those before it were not answered."""
    chance, began = random.Random(0), time.monotonic()
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(began + number / rate - time.monotonic(), 0))
        what, interaction = something(crowd, chance)
        clock.sent[interaction["id"]] = what, time.monotonic()
        await app[DISCORD].dispatch("INTERACTION_CREATE", interaction)


async def connected(app: web.Application, process: psutil.Process) -> None:
    while not app[DISCORD].sockets:
        if not process.is_running():
            raise RuntimeError("the bot has ended before it began")
        await asyncio.sleep(0.1)


async def settled(clock: Clock) -> None:
    """Wait until everything is acknowledged, or nothing has been for so long that it never will be."""
    until = time.monotonic() + PATIENCE
    while clock.sent.keys() - clock.acknowledged.keys() and time.monotonic() < until:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.1)


async def years(kept: Path, crowd: Crowd) -> Path:
    """Return the database of the crowd, which is made unless it is kept already: a million pictures take a while."""
    path = kept / f"crowd-{crowd.images}.db"
    if not path.exists():
        made = path.with_suffix(".new")
        made.unlink(missing_ok=True)
        database = await Database.open(f"sqlite:///{made}")
        await database.close()
        text = ConsentText.of(BotSettings(_env_file=None))
        await asyncio.to_thread(fill, made, crowd, text.version, text.digest)
        made.rename(path)
    return path


async def measure(crowd: Crowd, rate: float, seconds: float, kept: Path | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = folder / "crowd.db"
        await asyncio.to_thread(shutil.copyfile, await years(kept or folder, crowd), path)
        await asyncio.to_thread(os.sync)  # else the machine writes the copy out while the bot works
        clock = Clock()
        with redis_server(folder / "redis") as (redis_url, _):
            async with discord(clock) as (url, app), bot(folder, url, redis_url) as process:
                await connected(app, process)
                await feed(app, Clock(), crowd, rate / 10, WARM_UP_SECONDS)
                me = psutil.Process()
                before, before_of_mine, began = cpu_seconds(process), cpu_seconds(me), time.monotonic()
                await feed(app, clock, crowd, rate, seconds)
                await settled(clock)
                took = time.monotonic() - began
                of_bot = {
                    "cpu_ms_each": (cpu_seconds(process) - before) / len(clock.sent) * 1000,
                    "cpu_percent": (cpu_seconds(process) - before) / took * 100,
                    "feeder_cpu_percent": (cpu_seconds(me) - before_of_mine) / took * 100,
                    "rss_mb": process.memory_info().rss / 1e6,
                }
        return result(clock, crowd, rate) | of_bot | {"database_mb": path.stat().st_size / 1e6}


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def result(clock: Clock, crowd: Crowd, rate: float) -> dict[str, Any]:
    typing, commands = clock.milliseconds(lambda what: what == TYPING), clock.milliseconds(lambda what: what != TYPING)
    return {
        "sizes": {"interactions": len(clock.sent), "images": crowd.images, "mix": MIX},
        "people": crowd.people,
        "models": crowd.models,
        "commands_s": rate,
        "ack_p50_ms": statistics.median(commands),
        "ack_p99_ms": commands[int(len(commands) * 0.99)],
        "ack_worst_ms": commands[-1],
        "autocomplete_p50_ms": statistics.median(typing),
        "autocomplete_p99_ms": typing[int(len(typing) * 0.99)],
        "late": sum(took > LATE_MS for took in [*typing, *commands]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how soon the bot answers many people.")
    parser.add_argument("--full", action="store_true", help="10,000 people, 100,000 models and 1,000,000 pictures")
    parser.add_argument("--rate", type=float, default=200.0, help="interactions a second (default: 200)")
    parser.add_argument("--seconds", type=float, default=30.0, help="for how long (default: 30)")
    parser.add_argument("--keep", type=Path, help="a folder where the crowd's database is kept for the next time")
    arguments = parser.parse_args()
    about: dict[str, Any] = {"device": "cpu", "torch": None, "base": None, "discord.py": version("discord.py")}
    about |= {"sqlite": sqlite3.sqlite_version, "cores": os.cpu_count()}
    crowd = FULL if arguments.full else QUICK
    figures = asyncio.run(measure(crowd, arguments.rate, arguments.seconds, arguments.keep))
    print(json.dumps(about | {k: round(v, 1) if isinstance(v, float) else v for k, v in figures.items()}))


if __name__ == "__main__":
    main()
