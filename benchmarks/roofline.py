"""How far a training step and a sampling step are from what this machine can do.

The work is counted by PyTorch's FLOP counter over the very call that is timed, backward pass included. The limit is
measured, not read from a data sheet: the fastest of several plain matrix products, in the precision that the engine
uses, of the sizes that the U-Net's largest layers have at this batch and of one large square. `share_of_peak` is the
work done a second over that limit, `least_ms` how long the step would take at it.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.main_job import BUNDLE, rounded
from benchmarks.training import seconds, set_up
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.recipes import default_sampler
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, Row, advance, start

LARGEST = 4
"""Layers whose matrix products are timed."""
SQUARE = {"cuda": 8192, "cpu": 1024}

Work = Callable[[], object]
Sizes = tuple[int, int, int]
"""Of a matrix product [m, k] x [k, n]."""


def tflop_of(work: Work) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 1e12


def median_seconds(work: Work, base: BaseModel, rounds: int) -> float:
    """Time the work `rounds` times, after once to warm up."""

    def do() -> None:
        work()

    return statistics.median([seconds(do, base) for _ in range(rounds + 1)][1:])


class Seen:
    """Notes the matrix products that the U-Net's linear and convolution layers come down to."""

    def __init__(self, network: nn.Module) -> None:
        self.sizes: set[Sizes] = set()
        layers = [module for module in network.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
        self._hooks = [layer.register_forward_hook(self._note) for layer in layers]

    def _note(self, layer: nn.Module, _given: object, answer: Tensor) -> None:
        match layer:
            case nn.Linear():
                self.sizes.add((answer.numel() // layer.out_features, layer.in_features, layer.out_features))
            case nn.Conv2d():
                taps = layer.weight[0].numel()
                self.sizes.add((answer.numel() // layer.out_channels, taps, layer.out_channels))

    def largest(self) -> list[Sizes]:
        for hook in self._hooks:
            hook.remove()
        return sorted(self.sizes, key=lambda size: size[0] * size[1] * size[2])[-LARGEST:]


def peak_tflops(base: BaseModel, sizes: Sequence[Sizes], rounds: int) -> float:
    """Return the most TFLOP a second that a plain matrix product of one of these sizes reaches."""
    dtype, side = base.unet.dtype, SQUARE[base.device.type]
    reached = []
    for m, k, n in {*sizes, (side, side, side)}:
        left, right = (torch.randn(shape, device=base.device, dtype=dtype) for shape in ((m, k), (k, n)))
        reached.append(2 * m * k * n / median_seconds(lambda a=left, b=right: a @ b, base, rounds) / 1e12)  # type: ignore[misc]
    return max(reached)


def rows_of(model: Resident, count: int) -> list[Row]:
    orders = [PictureOrder(prompt=f"a photo of a dog {number}", seed=number) for number in range(count)]
    size = model.base.resolution, model.base.resolution
    return start(model, orders, default_sampler(model.base.family), size, model.serving, model.embed)


def figures(work: Work, base: BaseModel, rounds: int) -> dict[str, float]:
    tflop = tflop_of(work)
    return {"tflop": tflop, "ms": 1000 * median_seconds(work, base, rounds)}


def against(peak: float, found: dict[str, float]) -> dict[str, float]:
    return found | {
        "share_of_peak": found["tflop"] / (found["ms"] / 1000) / peak,
        "least_ms": 1000 * found["tflop"] / peak,
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        bench = set_up(arguments.base, arguments.device, Path(folder))
        recipe = bench.recipe(arguments.batch, steps=arguments.rounds + 3)
        training = bench.ours(recipe)
    model = training.model
    rows = rows_of(model, arguments.pictures)

    def sampling_step() -> None:
        advance(model, rows)
        for row in rows:
            row.position = 0  # or they would come to an end

    seen = Seen(model.base.unet)
    sampling_step()
    peak = peak_tflops(model.base, seen.largest(), arguments.rounds)
    step = figures(training.step, model.base, arguments.rounds)
    image = figures(sampling_step, model.base, arguments.rounds)
    return {
        "device": str(model.base.device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "base": model.base.digest[:16],
        "precision": str(model.base.unet.dtype).removeprefix("torch."),
        "sizes": {
            "pixels": model.base.resolution,
            "train_rows": 2 * recipe.batch_size,
            "pictures": arguments.pictures,
            "guided": rows[0].sampler.guided,
            "rank": recipe.rank,
        },
        "measured_peak_tflops": peak,
        "train_step": against(peak, step),
        "image": against(peak, image),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=str(BUNDLE / "base"), help="a folder, a hub id, sd15-random or sdxl-random")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=4, help="photos in a training step; as many class images")
    parser.add_argument("--pictures", type=int, default=8, help="pictures in a sampling step")
    parser.add_argument("--rounds", type=int, default=5, help="of everything that is timed")
    result = measure(parser.parse_args())
    shown = rounded(result)
    for step in ("train_step", "image"):
        shown[step]["tflop"] = float(f"{result[step]['tflop']:.4g}")
    print(json.dumps(shown | {"measured_peak_tflops": float(f"{result['measured_peak_tflops']:.4g}")}))


if __name__ == "__main__":
    main()
