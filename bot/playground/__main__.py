"""Run the playground: `make demo` stays for a visitor, `make demo-once` plays the main job and ends."""

import argparse
import asyncio
import contextlib
import logging
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from bot.app import Dreambot
from bot.composition import open_house
from bot.loops import running
from bot.playground.main_job import MainJobFailed, Player, Subject
from bot.playground.processes import redis_server, worker
from bot.playground.report import Memory, judge, write_result
from bot.playground.world import World, open_world
from bot.settings import BotSettings
from storage.database_lock import hold
from storage.errors import DatabaseInUse

SAMPLES = Path(__file__).parents[2] / "gpu_worker" / "demo_bundle" / "photos"
DEFAULT_PORT = 8765
STATE = "state"
IN_USE = 75
INTERRUPTED = 130
"""What a shell reports of a program that Ctrl-C ended, so that a demo that was cut short never counts as played."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="dreambot demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="play the main job, write result.json and end")
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="where pictures and the transcript go")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="the page's port; 0 picks a free one")
    parser.add_argument(
        "--subject", default="rex", choices=sorted(path.parent.name for path in SAMPLES.glob("*/train"))
    )
    options = parser.parse_args(arguments)
    folder, sample = options.folder.resolve(), SAMPLES / options.subject
    try:
        with hold(folder / STATE):  # before an older demo's state is wiped
            return asyncio.run(run(folder, sample, once=options.once, port=options.port))
    except DatabaseInUse:
        say(f"Another demo runs in {folder}: stop it first, or name another folder with --folder.")
        return IN_USE
    except (KeyboardInterrupt, asyncio.CancelledError):
        say("Stopped; everything is cleaned up.")
        return INTERRUPTED if options.once else 0


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 -- the playground's own terminal output


async def run(folder: Path, sample: Path, *, once: bool, port: int) -> int:
    """Start everything, play the main job, and stay for the visitor unless `once` or nobody is at the terminal."""
    began = time.perf_counter()
    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    state = _fresh(folder)
    logging.basicConfig(filename=state / "bot.log", level=logging.INFO, force=True)
    blobs = state / "blobs"
    async with contextlib.AsyncExitStack() as stack:
        redis_url, redis_pid = stack.enter_context(redis_server(state / "redis"))
        process = await stack.enter_async_context(worker(redis_url, str(blobs), state))
        house = await stack.enter_async_context(open_house(playground_settings(state, blobs, redis_url)))
        world = await stack.enter_async_context(open_world(house.bot, 0 if once else port))
        _let_operate(house.bot, world.moderator.id)
        memory = Memory(worker=process.pid, redis=redis_pid)
        await stack.enter_async_context(running([*house.loops, world.tick, memory.watch]))
        say(f"The playground is open: {world.preview.url}")
        subject = Subject.read(sample)
        try:
            played = await Player(world, house.services, folder, say).play(subject)
            verdict = await judge(sample, subject, played)
        except (MainJobFailed, TimeoutError) as failure:
            say(f"The demo failed: {failure!r}. The logs in {state} say more.")
            return 1
        finally:
            (folder / "transcript.txt").write_text(world.env.transcript(), encoding="utf-8")
        say(write_result(folder / "result.json", played, verdict, memory, time.perf_counter() - began))
        if not once and sys.stdin.isatty():
            await _stay(world)
    return 0


def _fresh(folder: Path) -> Path:
    """Empty what an earlier demo left; returns the folder for logs, rows and blobs."""
    state = folder / STATE
    shutil.rmtree(state, ignore_errors=True)
    for old in [*folder.glob("*.png"), *folder.glob("*.json"), *folder.glob("transcript.txt")]:
        old.unlink()
    state.mkdir(parents=True)
    return state


def playground_settings(state: Path, blobs: Path, redis_url: str) -> BotSettings:
    return BotSettings.model_validate(
        {
            "database_url": f"sqlite+aiosqlite:///{state / 'dreambot.db'}",
            "blob_url": str(blobs),
            "redis_url": redis_url,
            "base_model": "demo",
            "files_port": 0,
        }
    )


def _let_operate(bot: Dreambot, person_id: int) -> None:
    """Name somebody who runs the bot. People are born with the simulated Discord, after the settings are read."""
    operated = bot.services.settings.model_copy(update={"operators": str(person_id)})
    bot.services = replace(bot.services, settings=operated)


async def _stay(world: World) -> None:
    say("It is your turn: type /imagine, /train or /models. “Viewing as” changes who you are. Ctrl-C ends.")
    say(f"Sample photos to train on: {SAMPLES}")
    await world.preview.wait_closed()


if __name__ == "__main__":
    sys.exit(main())
