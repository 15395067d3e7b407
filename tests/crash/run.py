"""One run: a training and some pictures are asked for, one thing goes wrong, and every promise is kept all the same."""

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy import select

from storage.schema import Delivery, DeliveryState, Job, JobState
from tests.crash import people
from tests.crash.audit import audit_jobs
from tests.crash.house import LOOK_SECONDS, House, resume, until
from tests.crash.troubles import Trouble, strike

ROW_SECONDS = 10.0
"""How long a person waits for an answer before they ask again."""
STEPS = {False: 15, True: 30}
"""How long a training is: with the stand-in, whose steps take their time, and with the real engine on a tiny base."""


@dataclass(kw_only=True)
class Run:
    seed: int
    trouble: Trouble
    jobs: list[Job] = field(default_factory=list)
    reached: bool = False
    struck_at: float | None = None
    settled_at: float | None = None
    problems: list[str] = field(default_factory=list)
    lost_steps: int = 0
    """Training steps that had to be taken again."""

    @property
    def recover_seconds(self) -> float | None:
        if self.struck_at is None or self.settled_at is None:
            return None
        return max(0.0, self.settled_at - self.struck_at)

    def __str__(self) -> str:
        took = "" if self.recover_seconds is None else f", settled {self.recover_seconds:.1f} s after"
        outcomes = ", ".join(f"{job.kind.value} {job.state.value} ({job.attempt})" for job in self.jobs)
        state = "ok" if not self.problems else "FAILED: " + "; ".join(self.problems)
        reached = "" if self.reached else " (not reached)"
        return f"seed {self.seed}: {self.trouble}{reached}: {outcomes}{took}: {state}"


async def play(house: House, seed: int, trouble: Trouble, patience: float | None = None) -> Run:
    """Ask, strike, wait for the end, and look whether everything is as it was promised."""
    run = Run(seed=seed, trouble=trouble)
    if trouble.kind == "point":
        house.arm(trouble.what, trouble.action, trouble.hit)
    async with asyncio.TaskGroup() as group:
        nurse = group.create_task(_nurse(house, run))
        try:
            await _live(house, run, patience or house.timings.patience)
        except TimeoutError as error:
            run.problems.append(f"lost: {error}")
        finally:
            nurse.cancel()
            house.disarm()
            _wake_unnoticed(house, run)
    run.problems += await audit_jobs(house, run.jobs)
    run.lost_steps = lost_steps(house, run)
    return run


async def _live(house: House, run: Run, patience: float) -> None:
    chance, newcomer = random.Random(run.seed), run.trouble.provocation == "newcomer"
    training = asyncio.ensure_future(ask_train(house, chance.randint(0, 9999), agreed=not newcomer))
    pictures = asyncio.ensure_future(ask_imagine(house, chance.randint(0, 9999)))
    run.jobs = list(await asyncio.gather(training, pictures))
    if run.trouble.kind != "point":
        striking = asyncio.ensure_future(_strike_later(house, run))
        await asyncio.gather(_provoke(house, run), _settle(house, run, patience), striking)
    else:
        await asyncio.gather(_provoke(house, run), _settle(house, run, patience))
    if run.trouble.provocation == "restart":
        await until(lambda: _true(lambda: house.struck() is not None), ROW_SECONDS)


async def _strike_later(house: House, run: Run) -> None:
    await asyncio.sleep(run.trouble.after_seconds)
    run.struck_at, run.reached = time.time(), True
    with contextlib.suppress(RedisError, OSError):
        await thaw(house, run, await strike(house, run.trouble))


async def _nurse(house: House, run: Run) -> None:
    """Wait for an ordered fault, and wake a process that it froze once somebody else has its job."""
    while (struck := house.struck()) is None or run.trouble.kind != "point":  # noqa: ASYNC110 - by another process
        await asyncio.sleep(LOOK_SECONDS)
    run.struck_at, run.reached = struck[0], True
    if run.trouble.action == "stop":
        await thaw(house, run, [struck[1]])


def _wake_unnoticed(house: House, run: Run) -> None:
    """Wake a process that froze at the very end of a run, when nobody looked any more."""
    struck = house.struck()
    if run.trouble.kind == "point" and not run.reached and struck is not None:
        run.struck_at, run.reached = struck[0], True
        if run.trouble.action == "stop":
            resume(struck[1])


async def thaw(house: House, run: Run | None, frozen: Sequence[int]) -> None:
    """Let frozen processes sleep past their lease: until another attempt has begun, or no longer will."""
    if not frozen:
        return

    async def overtaken() -> bool:
        return any(job.attempt > 1 for job in await rows(house, run.jobs if run else []))

    try:
        await until(overtaken, 2.5 * house.timings.lease)
    finally:
        for pid in frozen:
            resume(pid)


async def _settle(house: House, run: Run, patience: float) -> None:
    """Wait until every job has ended and every message about it stands in Discord. Raises `TimeoutError`."""
    await settled(house, run.jobs, patience)
    run.settled_at = time.time()
    run.jobs = await rows(house, run.jobs)


async def settled(house: House, jobs: Sequence[Job], patience: float) -> None:
    """Raises `TimeoutError`, which says what is still open."""

    async def look() -> bool:
        return all(job.state.ended for job in await rows(house, jobs)) and not await _pending(house, jobs)

    if not await until(look, patience):
        open_jobs = [job for job in await rows(house, jobs) if not job.state.ended]
        states = [f"{job.kind.value} {job.id} is {job.state.value}, attempt {job.attempt}" for job in open_jobs]
        states += [f"{row.kind.value} of {row.job_id} is {row.state.value}" for row in await _pending(house, jobs)]
        raise TimeoutError(", ".join(states))


async def _provoke(house: House, run: Run) -> None:
    """Do what brings a run to a point that it would not pass by itself."""
    training = run.jobs[0]

    async def running() -> bool:
        job = (await rows(house, [training]))[0]
        return job.state is not JobState.ACCEPTED and (job.state.ended or job.step > 0)

    async def ended() -> bool:
        return (await rows(house, [training]))[0].state.ended

    match run.trouble.provocation:
        case "cancel":
            await until(running, ROW_SECONDS)
            await house.act(people.cancel(training.owner_id, training.channel_id + 1_000_000, training.id))
        case "worker dies" | "worker stops":
            await until(running, ROW_SECONDS)
            worker = await house.worker_of(training.id, 1)
            if worker is not None:
                worker.send(signal.SIGKILL if run.trouble.provocation == "worker dies" else signal.SIGTERM)
        case "restart":
            await until(ended, ROW_SECONDS)
            house.bot.send(signal.SIGTERM)


# Asking.


async def ask_train(house: House, number: int, *, agreed: bool = True) -> Job:
    owner, channel = house.person(agreed=agreed)
    options = {"steps": STEPS[house.real], "batch_size": 1, "class_images": 2, "quality": "fast", "seed": number}
    return await _ask(
        house,
        owner,
        channel,
        lambda: people.train(owner, channel, f"rex{number}", f"dog {_letters(number)}", house.photos(), options),
        presses=True,
    )


async def ask_imagine(house: House, number: int) -> Job:
    owner, channel = house.person()
    options = {"count": 2, "steps": 6, "seed": number}
    return await _ask(house, owner, channel, lambda: people.imagine(owner, channel, "a dog on the moon", options))


async def _ask(
    house: House, owner: int, channel: int, ask: Callable[[], dict[str, Any]], *, presses: bool = False
) -> Job:
    """Ask until the bot promises: a person whose command stays unanswered gives it anew. Returns the job's row."""
    deadline = time.monotonic() + 6 * ROW_SECONDS
    found: Job | None = None

    async def promised() -> bool:
        nonlocal found
        async with house.database.read() as session:
            found = (await session.scalars(select(Job).where(Job.owner_id == owner))).one_or_none()
        return found is not None or house.bot.pid != bot

    while time.monotonic() < deadline:
        await house.act(ask())
        bot = house.bot.pid
        if presses:
            await _press_train(house, owner, channel, bot)
        await until(promised, ROW_SECONDS)
        if found is not None:
            return found
    raise TimeoutError(f"the bot never took the job of {owner}")


async def _press_train(house: House, owner: int, channel: int, bot: int | None) -> None:
    """Press the button of the newest card that shows what would be trained on, unless the bot dies before it comes."""

    async def pressed() -> bool:
        for message in reversed(await house.messages()):
            button = _button(message["components"], (":agree", ":train"))
            if message["channel"] == str(channel) and button:
                await house.act(people.press(owner, channel, message, button))
                return True
        return house.bot.pid != bot

    await until(pressed, ROW_SECONDS)


def _button(components: Sequence[dict[str, Any]], endings: tuple[str, ...]) -> str | None:
    for component in components:
        if str(component.get("custom_id", "")).endswith(endings):
            return str(component["custom_id"])
        if inner := _button(component.get("components", []), endings):
            return inner
    return None


# Looking.


async def rows(house: House, jobs: Sequence[Job]) -> list[Job]:
    async with house.database.read() as session:
        return [await session.get_one(Job, job.id) for job in jobs]


async def _pending(house: House, jobs: Sequence[Job]) -> list[Delivery]:
    query = select(Delivery).where(Delivery.job_id.in_([job.id for job in jobs]))
    async with house.database.read() as session:
        found = (await session.scalars(query)).all()
    return [
        row for row in found if row.state is DeliveryState.PENDING or (row.dirty and row.state is DeliveryState.SENT)
    ]


def lost_steps(house: House, run: Run) -> int:
    """Count the steps of the run's training that a death made it take once more."""
    if run.trouble.action != "kill":  # what was only frozen goes on for a while beside whoever took over
        return 0
    steps = [step for job, what, step in house.steps() if what == "step" and job in {row.id for row in run.jobs}]
    return len(steps) - len(set(steps))


def _letters(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


async def _true(look: Callable[[], bool]) -> bool:
    return look()
