"""Many jobs at once while something dies every few seconds."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from storage.contract import JobKind
from storage.schema import Job
from tests.crash import people
from tests.crash.audit import audit_jobs
from tests.crash.house import House
from tests.crash.run import ask_imagine, ask_train, rows, settled, thaw
from tests.crash.troubles import OUTSIDE, Trouble, strike

AT_ONCE = 12
"""How many jobs are under way at a time."""
TRAININGS = 0.3
CANCELLED = 0.1
"""The shares of trainings, and of trainings whose owner changes their mind."""
PAUSE_SECONDS = (3.0, 8.0)
"""Between two deaths, at least and at most."""


@dataclass(kw_only=True)
class Soak:
    jobs: list[Job] = field(default_factory=list)
    deaths: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


async def soak(house: House, count: int, seed: int) -> Soak:
    """Have `count` jobs asked for and done while things die, then wait for a quiet end and look at everything."""
    began, chance, result, places = time.monotonic(), random.Random(seed), Soak(), asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with places:
            job = await (ask_train if chance.random() < TRAININGS else ask_imagine)(house, number)
            result.jobs.append(job)
            if job.kind is JobKind.TRAIN and chance.random() < CANCELLED:
                await house.act(people.cancel(job.owner_id, job.channel_id + 1_000_000, job.id))
            await settled(house, [job], 10 * house.timings.patience)

    async with asyncio.TaskGroup() as group:
        killer = group.create_task(_keep_killing(house, chance, result))
        try:
            await asyncio.gather(*(one(number) for number in range(count)))
        except TimeoutError as error:
            result.problems.append(f"lost: {error}")
        finally:
            killer.cancel()
    result.jobs, result.seconds = await rows(house, result.jobs), time.monotonic() - began
    result.problems += await audit_jobs(house, result.jobs)
    return result


async def _keep_killing(house: House, chance: random.Random, result: Soak) -> None:
    while True:
        await asyncio.sleep(chance.uniform(*PAUSE_SECONDS))
        kind, what, action = chance.choice(OUTSIDE)
        result.deaths[f"{what} {action}".strip()] += 1
        trouble = Trouble(kind=kind, what=what, action=action, after_seconds=chance.random())
        with contextlib.suppress(RedisError, OSError):
            await thaw(house, None, await strike(house, trouble))
