"""How true the contact sheet's estimate is: what it says of each training before it begins, against what that took.

The whole bot plays, with its worker, on a database that begins empty: the first training is a guess by rule, the later
ones follow from those before. Subjects, numbers of photos and qualities change from one to the next.
"""

import argparse
import asyncio
import contextlib
import json
import re
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from simcord.results import InteractionResult

from benchmarks.main_job import BUNDLE, rounded
from bot.composition import open_house
from bot.loops import running
from bot.playground.__main__ import playground_settings
from bot.playground.main_job import Player, Subject
from bot.playground.processes import redis_server, worker
from bot.playground.world import World, open_world
from storage.contract import Quality

PHOTOS = (BUNDLE / "photos", Path(__file__).parent / "subjects")
STATED = re.compile(r"([\d,]+) GPU seconds")
WITHIN = 0.3
"""Of what it took: as far off as an estimate may be."""


@dataclass(frozen=True)
class Plan:
    subject: str
    photos: int
    quality: Quality


QUICK = (Plan("rex", 3, Quality.FAST), Plan("luna", 4, Quality.FAST))
FULL = (
    Plan("rex", 6, Quality.GOOD),
    Plan("luna", 6, Quality.FAST),
    Plan("clover", 5, Quality.GOOD),
    Plan("comet", 4, Quality.FAST),
    Plan("bolt", 6, Quality.GOOD),
    Plan("ember", 3, Quality.FAST),
    Plan("luna", 3, Quality.GOOD),
    Plan("rex", 6, Quality.BEST),
    Plan("sage", 6, Quality.FAST),
    Plan("clover", 6, Quality.BEST),
)


class Asker:
    """Ada, who reads what the contact sheet says before she agrees."""

    def __init__(self, world: World, player: Player) -> None:
        self.world, self.player, self.numbers = world, player, count(1)

    async def train(self, plan: Plan) -> dict[str, Any]:
        """Train under a new name; returns what was stated and what it took, in GPU seconds."""
        subject = read(plan)
        photos = {f"photo{n}": (path.name, path.read_bytes()) for n, path in enumerate(subject.photos, start=1)}
        names = {"name": f"{subject.name}{next(self.numbers)}", "class": subject.class_noun}
        shown = await self.world.act(
            self.world.ada.slash(self.world.channel, "train", **names, **photos, quality=plan.quality.value)
        )
        stated, began = stated_seconds(shown), time.perf_counter()
        job = await self.player.agree(shown)
        took = job.seconds or 0.0
        line = {
            "subject": plan.subject,
            "photos": plan.photos,
            "quality": plan.quality.value,
            "stated_s": stated,
            "took_s": took,
            "waited_s": time.perf_counter() - began,
            "off": stated / took - 1,
        }
        print(json.dumps(rounded(line)), flush=True)
        return line


def read(plan: Plan) -> Subject:
    folder = next(found for parent in PHOTOS if (found := parent / plan.subject).is_dir())
    subject = Subject.read(folder)
    return Subject(name=subject.name, class_noun=subject.class_noun, photos=subject.photos[: plan.photos])


def stated_seconds(shown: InteractionResult) -> float:
    """Return the GPU seconds that the contact sheet states."""
    found = STATED.search(str(shown.response.components)) if shown.response else None
    if found is None:
        raise SystemExit("the contact sheet states no GPU seconds")
    return float(found[1].replace(",", ""))


@contextlib.asynccontextmanager
async def asker(folder: Path) -> AsyncIterator[Asker]:
    """Start the playground with an empty database."""
    blobs = folder / "blobs"
    with redis_server(folder / "redis") as (redis_url, _):
        async with (
            worker(redis_url, str(blobs), folder),
            open_house(playground_settings(folder, blobs, redis_url)) as house,
            open_world(house.bot, 0) as world,
            running([*house.loops, world.tick]),
        ):
            yield Asker(world, Player(world, house.services, folder, lambda _: None))


async def measure(plans: Sequence[Plan]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        async with asker(Path(folder)) as ada:
            runs = [await ada.train(plan) for plan in plans]
    within = sum(abs(run["off"]) <= WITHIN for run in runs)
    return {"device": "cpu", "runs": runs, "within": within / len(runs), "worst": max(abs(run["off"]) for run in runs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="ten trainings, a quarter of an hour, in place of two")
    plans = FULL if parser.parse_args().full else QUICK
    print(json.dumps(rounded(asyncio.run(measure(plans)))))


if __name__ == "__main__":
    main()
