"""Random deaths, one a run: every job that was promised ends once and is told of once, and nothing is left over.

A run asks a whole house of processes for a training and for pictures, and has one thing go wrong: a process killed,
ended or frozen at a named point or at any time, Redis emptied, restarted or away, Discord refusing. `--soak` asks for
many jobs at once and kills something every few seconds; `--sabotage` breaks promises on purpose and has to notice.
"""

import argparse
import asyncio
import json
import logging
import math
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.crash.audit import audit_house
from tests.crash.house import PRODUCTION, QUICK, ROOT, House, Timings, open_house
from tests.crash.proof import caught
from tests.crash.run import Run, play
from tests.crash.soak import soak
from tests.crash.troubles import kinds, trouble_of

RUNS_A_HOUSE = 50
"""After so many runs a house is closed, swept and looked through, and the next one opened."""
SLOWEST_RECOVERY = 45.0
"""Seconds from a death to the settled outcome, with production timings."""

Problems = list[str]


async def crash(seeds: Sequence[int], base: Path | None, timings: Timings) -> tuple[list[Run], Problems]:
    """Play a run for each seed; returns the runs, and what was wrong with the houses in the end."""
    waiting, runs, problems = list(seeds), list[Run](), Problems()
    while waiting:
        folder = Path(tempfile.mkdtemp(prefix="crash-"))
        async with open_house(folder, base, timings) as house:
            played = await _play_in(house, waiting)
            found = await _close(house, failed=any(run.problems for run in played))
        runs, problems = [*runs, *played], [*problems, *found]
    return runs, problems


async def _play_in(house: House, waiting: list[int]) -> list[Run]:
    """Play until the house has had enough, or until a run fails, which could spoil the next."""
    played = list[Run]()
    while waiting and len(played) < RUNS_A_HOUSE and not (played and played[-1].problems):
        seed = waiting.pop(0)
        played.append(await play(house, seed, trouble_of(seed, real=house.real, deadly=house.timings is PRODUCTION)))
        print(played[-1], flush=True)
    return played


async def _close(house: House, *, failed: bool) -> Problems:
    """Look through what is left. Where something was wrong, the rows and logs stay to be read."""
    await house.stop()
    problems = await audit_house(house)
    for problem in problems:
        print(f"left behind in {house.folder}: {problem}", flush=True)
    if failed or problems:
        print(f"rows and logs stay in {house.folder}", flush=True)
    else:
        shutil.rmtree(house.folder)
    return problems


async def run_many(options: argparse.Namespace, base: Path | None) -> dict[str, Any]:
    timings = PRODUCTION if options.production else QUICK
    seeds = list(range(options.seed, options.seed + options.runs))
    lanes = [seeds[lane :: options.houses] for lane in range(options.houses)]
    done = await asyncio.gather(*(crash(lane, base, timings) for lane in lanes if lane))
    runs, problems = [run for lane, _ in done for run in lane], [problem for _, lane in done for problem in lane]
    recoveries = sorted(seconds for run in runs if (seconds := run.recover_seconds) is not None)
    wrong = [problem for run in runs for problem in run.problems] + problems
    return {
        "runs": len(runs),
        "ok": sum(not run.problems for run in runs),
        "lost": sum("lost" in problem for problem in wrong),
        "doubled": sum("doubled" in problem for problem in wrong),
        "orphans": sum("orphan" in problem for problem in wrong),
        "other": sum(not any(word in problem for word in ("lost", "doubled", "orphan")) for problem in wrong),
        "recover_p95_seconds": round(recoveries[math.ceil(0.95 * len(recoveries)) - 1], 2) if recoveries else None,
        "recover_longest_seconds": round(recoveries[-1], 2) if recoveries else None,
        "seeds": [seeds[0], seeds[-1]],
        "failed_seeds": sorted(run.seed for run in runs if run.problems),
        "not_reached": sum(not run.reached for run in runs),
        "outcomes": dict(Counter(job.state.value for run in runs for job in run.jobs)),
        "most_steps_taken_again": max(run.lost_steps for run in runs),
        "sizes": _sizes(timings) | {"kinds": len(kinds(real=base is not None))},
    }


async def run_soak(options: argparse.Namespace, base: Path | None) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="crash-soak-"))
    async with open_house(folder, base, QUICK) as house:
        result = await soak(house, options.soak, options.seed)
        problems = result.problems + await _close(house, failed=bool(result.problems))
    for problem in result.problems:
        print(problem, flush=True)
    return {
        "jobs": len(result.jobs),
        "problems": len(problems),
        "lost": sum("lost" in problem for problem in problems),
        "doubled": sum("doubled" in problem for problem in problems),
        "orphans": sum("orphan" in problem for problem in problems),
        "deaths": sum(result.deaths.values()),
        "outcomes": dict(Counter(job.state.value for job in result.jobs)),
        "attempts": dict(Counter(str(job.attempt) for job in result.jobs)),
        "seconds": round(result.seconds, 1),
        "seed": options.seed,
        "sizes": _sizes(QUICK),
    }


async def run_sabotage(base: Path | None) -> dict[str, Any]:
    found = await caught(base)
    for name, problems in found.items():
        print(f"{name}: {'; '.join(problems) or 'NOT NOTICED'}", flush=True)
    return {"sabotaged": len(found), "caught": sum(bool(problems) for problems in found.values())}


def _sizes(timings: Timings) -> dict[str, float]:
    return {"lease_seconds": timings.lease, "renew_seconds": timings.renew, "look_seconds": timings.look}


def _make_base(folder: Path) -> Path:
    """Make a trivially small base model, in a process of its own so that this one needs no torch."""
    base = folder / "tiny"
    program = (
        "import sys; from tests.gpu_worker.engine.conftest import tiny_pipeline as t; t().save_pretrained(sys.argv[1])"
    )
    subprocess.run([sys.executable, "-c", program, str(base)], check=True, cwd=ROOT)  # noqa: S603
    return base


def _good(result: dict[str, Any], options: argparse.Namespace) -> bool:
    if options.sabotage:
        return bool(result["caught"] == result["sabotaged"])
    if options.soak:
        return bool(result["problems"] == 0)
    swift = not options.production or (result["recover_p95_seconds"] or 0) <= SLOWEST_RECOVERY
    return bool(result["ok"] == result["runs"] and not result["orphans"] + result["other"] and swift)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1, help="the first run's seed; the others follow")
    parser.add_argument("--houses", type=int, default=1, help="how many houses are played in side by side")
    parser.add_argument("--engine", choices=("real", "stand-in"), default="real")
    parser.add_argument("--production", action="store_true", help="deaths alone, with the default leases and pauses")
    parser.add_argument("--soak", type=int, default=0, metavar="JOBS", help="so many jobs under constant deaths")
    parser.add_argument("--sabotage", action="store_true", help="see whether broken promises are noticed")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="crash-base-") as folder:
        base = _make_base(Path(folder)) if options.engine == "real" else None
        if options.sabotage:
            result = asyncio.run(run_sabotage(base))
        elif options.soak:
            result = asyncio.run(run_soak(options, base))
        else:
            result = asyncio.run(run_many(options, base))
    result |= {"engine": options.engine, "device": "cpu", "torch": version("torch"), "base": "tiny, random weights"}
    print(json.dumps(result))
    return 0 if _good(result, options) else 1


if __name__ == "__main__":
    sys.exit(main())
