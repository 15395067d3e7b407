"""How many pictures of different people the fast copy of the base draws in a second, against the plain one.

One picture each for N people, all asked for at once, through the studio; the two copies take turns. With `--scores` the
sample subjects are trained, and the judge says how alike each is on either copy, in the main job's prompts and seeds
(a minute or two more for each subject).
"""

import argparse
import copy
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import main_job
from benchmarks._bases import open_base
from benchmarks._people import Drawing, Ours, people_of
from benchmarks.main_job import BUNDLE, load_subject, rounded
from benchmarks.serving import Tally
from benchmarks.training import wait_for
from gpu_worker.engine.adapters import file_digest
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.fast_copy import SAMPLERS, Acceleration, FastCopy, load_fast_copy
from gpu_worker.engine.fidelity import score_places, score_subject
from gpu_worker.engine.recipes import default_sampler
from gpu_worker.engine.resident import SERVING_RANK, Resident
from gpu_worker.engine.sampling import Sampler
from gpu_worker.settings import DEMO_FAST
from storage.contract import Quality, TrainingOptions

SIDES = ("plain", "fast")


def fast_copy_of(base: BaseModel, arguments: argparse.Namespace) -> FastCopy:
    """Return the copy; for a base of random weights, which no LoRA fits, one of the same weights."""
    sampler = SAMPLERS[arguments.sampler]
    if arguments.base.endswith("-random"):
        return FastCopy(base=replace(base, unet=copy.deepcopy(base.unet)), sampler=sampler)
    return load_fast_copy(base, arguments.lora, sampler)


def speed(model: Resident, fast: Sampler, users: int, rounds: int) -> dict[str, Tally]:
    """Let either copy draw everybody's pictures so many times, after once to warm up."""
    usual, size = default_sampler(model.base.family), model.base.resolution
    ways = {
        "plain": Drawing(usual.steps, usual.guidance_scale, size, Quality.BEST),
        "fast": Drawing(fast.steps, fast.guidance_scale, size, Quality.FAST),
    }
    tallies = {side: Tally() for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        ours, people = Ours(model, Path(folder)), people_of(model, users, SERVING_RANK, Path(folder))
        for turn in range(rounds + 1):
            for side, tally in tallies.items():
                wait_for(model.base.device)
                began = time.perf_counter()
                _, latencies = ours.draw(people, ways[side])
                if turn:
                    tally.seconds.append(time.perf_counter() - began)
                    tally.latencies += latencies
    return tallies


def scores(model: Resident, fast: Sampler, folder: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Train the sample subjects and return how alike and how well placed they are, by subject and copy."""
    if model.embedders is None:
        raise SystemExit("there is no judging embedder beside the base: nothing can be scored")
    judge = model.embedders.judging
    bench = main_job.Bench(model, judge, folder)
    samplers = {"plain": bench.sampler, "fast": fast}
    found: dict[str, dict[str, dict[str, float]]] = {}
    for path in sorted((BUNDLE / "photos").iterdir()):
        subject = load_subject(path)
        done = bench.train(subject, 0, TrainingOptions())
        slot = model.slot_of(done.adapter, file_digest(done.adapter))
        found[subject.name] = {}
        for side, bench.sampler in samplers.items():
            pictures, places = bench.draw_in_places(subject, slot)
            main_job.keep(pictures, folder / f"{subject.name}-{side}.png")
            score = score_subject(judge, pictures, subject.held_out, subject.class_noun).score
            found[subject.name][side] = {"subject": score, "prompt": score_places(judge, pictures, places)}
        bench.sampler = samplers["plain"]
    return found


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    base = open_base(arguments.base, arguments.device)
    fast_copy = fast_copy_of(base, arguments)
    model = Resident(base, fast=fast_copy)
    usual, fast = default_sampler(base.family), fast_copy.sampler
    tallies = speed(model, fast, arguments.users, arguments.rounds)
    rates = {side: tally.rate(arguments.users) for side, tally in tallies.items()}
    result = {
        "device": str(base.device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "base": base.digest[:16],
        "sizes": {"pixels": base.resolution, "rank": SERVING_RANK, "rounds": arguments.rounds},
        "users": arguments.users,
        "steps": {"plain": usual.steps, "fast": fast.steps},
        "guidance_scale": {"plain": usual.guidance_scale, "fast": fast.guidance_scale},
        "plain_images_s": rates["plain"],
        "fast_images_s": rates["fast"],
        "ratio": rates["fast"] / rates["plain"],
        "p95_ms": {side: tally.p95_ms() for side, tally in tallies.items()},
        "copy_mb": sum(weight.nbytes for weight in fast_copy.base.unet.parameters()) / 2**20,
    }
    if arguments.scores:
        with tempfile.TemporaryDirectory() as folder:
            out = arguments.out or Path(folder)
            out.mkdir(parents=True, exist_ok=True)
            result["scores"] = by_subject = scores(model, fast, out)
            means = {side: [s[side]["subject"] for s in by_subject.values()] for side in SIDES}
            result["subject_score"] = {side: float(np.mean(of_side)) for side, of_side in means.items()}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=str(BUNDLE / "base"), help="a folder, a hub id, sd15-random or sdxl-random")
    parser.add_argument("--lora", default=str(DEMO_FAST), help="file or hub id of an acceleration LoRA")
    parser.add_argument("--sampler", type=Acceleration, default=Acceleration.DDIM, choices=list(Acceleration))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each copy")
    parser.add_argument("--scores", action="store_true", help="train the sample subjects and judge either copy")
    parser.add_argument("--out", type=Path, help="with --scores, a folder to keep sheets of pictures in")
    print(json.dumps(rounded(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
