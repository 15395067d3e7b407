"""How many models an hour several trainings make when they take their steps together, and one after the other.

Both ways are ours: the same recipe, photos, seeds and number of steps; together, a step is one forward and backward
pass over everybody's rows. They take turns, and medians are kept. `models_per_hour` counts training steps alone, at the
recipe's own number of steps. `weight_difference` is the largest difference between what one person's adapter becomes
in company and alone, as a share of that adapter's size.
"""

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.main_job import BUNDLE, rounded
from benchmarks.training import Bench, seconds, set_up
from gpu_worker.engine.recipes import Recipe, choose_recipe
from gpu_worker.engine.training import gradients
from storage.contract import Quality, SubjectKind

COMPANY = 3
"""Steps after which the adapters are compared."""


class People:
    """Trainings that have just begun, each with a seed of its own, on one base."""

    def __init__(self, bench: Bench, count: int, recipe: Recipe) -> None:
        model = bench.resident(together=count)
        self.trainings = [bench.begin(model, recipe, seed) for seed in range(count)]

    def together(self, steps: int) -> None:
        for _ in range(steps):
            gradients(self.trainings)
            for training in self.trainings:
                training.descend()

    def solo(self, steps: int) -> None:
        for training in self.trainings:
            losses = [training.step() for _ in range(steps)]
            float(losses[-1])


def weight_difference(company: People, loners: People) -> float:
    """Let both do the same steps and return the largest relative difference between what their people have learned."""
    company.together(COMPANY)
    loners.solo(COMPANY)
    shares = []
    for one, other in zip(company.trainings, loners.trainings, strict=True):
        rows = [torch.cat([row.flatten() for row in each.parameters.values()]).detach() for each in (one, other)]
        shares.append(float((rows[0] - rows[1]).norm() / rows[1].norm()))
    return max(shares)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        bench = set_up(arguments.base, arguments.device, Path(folder))
        usual = choose_recipe(bench.base.family, SubjectKind.PET, Quality.GOOD, len(bench.pictures.photos))
        recipe = replace(usual, steps=COMPANY + (arguments.rounds + 1) * arguments.block, teacher=False)
        company, loners = (People(bench, arguments.users, recipe) for _ in range(2))
    difference = weight_difference(company, loners)
    turns = [
        [seconds(partial(work, arguments.block), bench.base) for work in (company.together, loners.solo)]
        for _ in range(arguments.rounds + 1)
    ]
    together, solo = (statistics.median(times) / arguments.block for times in zip(*turns[1:], strict=True))
    return {
        "device": str(bench.base.device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "base": bench.base.digest[:16],
        "sizes": {"pixels": bench.base.resolution, "rank": recipe.rank, "rows": 2 * recipe.batch_size},
        "users": arguments.users,
        "models_per_hour": {
            "together": 3600 * arguments.users / (together * usual.steps),
            "solo": 3600 * arguments.users / (solo * usual.steps),
        },
        "ratio": solo / together,
        "weight_difference": difference,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=str(BUNDLE / "base"), help="a folder, a hub id, sd15-random or sdxl-random")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--block", type=int, default=2, help="steps of each person in a turn")
    result = measure(parser.parse_args())
    print(json.dumps(rounded(result) | {"weight_difference": result["weight_difference"]}))  # too small to be rounded


if __name__ == "__main__":
    main()
