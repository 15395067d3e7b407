"""Everything that can go wrong in a run: the fault points found in the source, and what strikes from outside."""

import asyncio
import os
import random
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import psutil

from storage.faults import ACTIONS
from tests.crash.house import ROOT, House

SOURCES = ("bot", "gpu_worker", "storage")
CALL = re.compile(r"""^\s*reach\("([a-z_.]+)"\)""", re.MULTILINE)

OFTEN = {
    "delivery.noted": 3,
    "delivery.shown": 3,
    "event.told": 6,
    "events.acknowledged": 4,
    "events.applied": 4,
    "events.read": 4,
    "events.written": 4,
    "picture.saved": 2,
    "picture.stored": 4,
    "training.stepped": 12,
    "checkpoint.stored": 2,
    "checkpoint.vouched": 2,
    "tensors.written": 2,
    "tensors.placed": 2,
}
"""How often a run passes a point at least, where that is more than once: the fault strikes at any of these times."""

PROVOKED = {
    "cancel.asked": "cancel",
    "draft.agreed": "newcomer",
    "outbox.cancel_told": "cancel",
    "photos.deleted": "restart",
    "reconcile.mended": "worker dies",
    "reconcile.written": "worker dies",
    "worker.engine_stopped": "worker stops",
}
"""Points that a run passes only when something else happens as well."""


OUTSIDE = [
    *(("signal", process, action) for process in ("bot", "worker", "engine") for action in ACTIONS),
    *(("redis", what, "") for what in ("flush", "kill", "outage", "kill and flush")),
    *(("discord", what, "") for what in ("503", "429", "drop", "drop_after")),
    ("signal", "bot and worker", "kill"),
    ("redis", "flush", "worker"),
]
"""(kind, what, action) of what strikes without a point."""


@dataclass(frozen=True, kw_only=True)
class Trouble:
    kind: str
    """"point", "signal", "redis", "discord" or "none"."""
    what: str
    """The point, the process, or what happens to Redis or Discord."""
    action: str = ""
    hit: int = 1
    provocation: str = ""
    after_seconds: float = 0.0
    """How long after the jobs were accepted it strikes, where no point decides that."""

    def __str__(self) -> str:
        when = f"#{self.hit}" if self.kind == "point" else f"+{self.after_seconds:.1f}s"
        return " ".join(filter(None, [self.what, self.action, when, self.provocation and f"({self.provocation})"]))


@cache
def points(*, real: bool = True) -> Sequence[str]:
    """Return the names of the fault points in the source, without the engine's where a stand-in takes its place.

    Raises `ValueError` when two places share a name.
    """
    files = [path for part in SOURCES for path in sorted((ROOT / part).rglob("*.py"))]
    if not real:
        files = [path for path in files if "engine" not in path.relative_to(ROOT).parts]
    found = [name for path in files for name in CALL.findall(path.read_text(encoding="utf-8"))]
    if len(set(found)) != len(found):
        raise ValueError(f"two places share a name: {sorted(name for name in found if found.count(name) > 1)}")
    return sorted(found)


@cache
def kinds(*, real: bool = True, deadly: bool = False) -> Sequence[tuple[str, str, str]]:
    """Return every (kind, what, action): each point by each signal, and what strikes from outside.

    `real` has the engine's own points in it, `deadly` leaves only what kills.
    """
    at_points = [("point", point, action) for point in points(real=real) for action in ACTIONS]
    found = [*at_points, *OUTSIDE, *((kind, what, action) for kind, what, action in OUTSIDE if kind == "redis")]
    return [(kind, what, action) for kind, what, action in found if not deadly or "kill" in {what, action}]


def trouble_of(seed: int, *, real: bool = True, deadly: bool = False) -> Trouble:
    """Return the trouble of a run. As many seeds in a row as there are kinds meet every kind once."""
    deck = list(kinds(real=real, deadly=deadly))
    cycle, place = divmod(seed, len(deck))
    random.Random(cycle).shuffle(deck)
    kind, what, action = deck[place]
    chance = random.Random(seed)
    return Trouble(
        kind=kind,
        what=what,
        action=action,
        hit=chance.randint(1, OFTEN.get(what, 1)),
        provocation=PROVOKED.get(what, "cancel" if chance.random() < 0.1 else ""),
        after_seconds=chance.uniform(0, 3 if real else 1.5),
    )


async def strike(house: House, trouble: Trouble) -> Sequence[int]:
    """Do what comes from outside; returns the processes that were frozen by it."""
    match trouble.kind:
        case "signal":
            return _signal(house, trouble)
        case "redis":
            await _shake_redis(house, trouble)
        case "discord":
            await house.trouble(trouble.what, trouble.hit + 2)
    return []


def _signal(house: House, trouble: Trouble) -> Sequence[int]:
    chance = random.Random(str(trouble))
    workers = [worker.pid for worker in house.workers]
    pids = {
        "bot": [house.bot.pid],
        "worker": [chance.choice(workers)],
        "engine": [chance.choice(house.engines() or [None])],
        "bot and worker": [house.bot.pid, *workers],
    }[trouble.what]
    alive = [pid for pid in pids if pid is not None and psutil.pid_exists(pid)]
    for pid in alive:
        os.kill(pid, ACTIONS[trouble.action])
    return alive if trouble.action == "stop" else []


async def _shake_redis(house: House, trouble: Trouble) -> None:
    if trouble.action == "worker":
        house.workers[0].send(signal.SIGKILL)
    if "flush" in trouble.what:
        await house.queue.flushall()
    if trouble.what == "flush":
        return
    if trouble.what == "outage":
        house.redis.wanted.clear()
    house.redis.send(signal.SIGKILL)
    if trouble.what == "outage":
        await asyncio.sleep(2 * house.timings.lease)
        house.redis.wanted.set()
