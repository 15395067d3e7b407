"""How many pictures of different people we draw in a second, against diffusers' own ways on the same base.

One picture each for N people, round robin, all asked for at once. Ours is the studio: everybody in one batch through
slots. The peer is the faster of `load_lora_weights` for each request and `set_adapters` with everybody in memory;
`peft_mixed` is one batch with PEFT's `adapter_names`, which a pipeline does not offer and which is hooked in here.
`max_difference` is the largest difference of a pixel, of 0..1, between ours and the peer's. All sides write PNG files.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft.tuners.lora import LoraLayer
from PIL import Image

from benchmarks._bases import open_base
from benchmarks._people import Drawing, Ours, Peer, Person, people_of, seconds_of
from benchmarks.main_job import BUNDLE, rounded
from benchmarks.training import wait_for
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.compiled import compiled_if_it_pays
from gpu_worker.engine.recipes import default_sampler
from gpu_worker.engine.resident import SERVING_RANK, Resident

SIDES = ("ours", "load_lora_weights", "set_adapters", "peft_mixed")

Files = list[Path]


class Bench:
    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.base = open_base(arguments.base, arguments.device)
        usual = default_sampler(self.base.family)
        self.how = Drawing(arguments.steps or usual.steps, usual.guidance_scale, self.base.resolution)
        self.loading, self.switching = Peer(self.base, folder), Peer(self.base, folder)
        model = Resident(self.base)
        if arguments.compile:
            for network in (model.base.unet, model.base.vae):  # as a base is loaded on a GPU
                network.to(memory_format=torch.channels_last)
            model.compiled = compiled_if_it_pays(model, [2 * arguments.users], folder)
        self.compiled = model.compiled is not None
        self.people = people_of(model, arguments.users, SERVING_RANK, folder)
        self.ours = Ours(model, folder)
        self.switching.load_all(self.people)

    def side(self, name: str) -> Callable[[], tuple[Files, list[float]]]:
        match name:
            case "ours":
                return lambda: self.ours.draw(self.people, self.how)
            case "load_lora_weights":
                return lambda: one_by_one(self.base, self.loading, self.people, self.how, self._load)
            case "set_adapters":
                return lambda: one_by_one(self.base, self.switching, self.people, self.how, self._switch)
            case _:
                return self._mixed

    def _load(self, number: int) -> None:
        self.loading.load(self.people[number])

    def _switch(self, number: int) -> None:
        self.switching.pipeline.set_adapters([f"p{number}"])

    def _mixed(self) -> tuple[Files, list[float]]:
        files: Files = []
        with mixed_batch(self.switching, [f"p{number}" for number in range(len(self.people))]):
            took = seconds_of(lambda: files.extend(self.switching.picture(self.people, self.how)), self.base)
        return files, [took] * len(self.people)


def one_by_one(
    base: BaseModel, peer: Peer, people: Sequence[Person], how: Drawing, change: Callable[[int], None]
) -> tuple[Files, list[float]]:
    """Draw each person's picture after changing to them; returns the files and when each was there."""
    files, ended, now = list[Path](), list[float](), 0.0
    for number, person in enumerate(people):

        def both(number: int = number, person: Person = person) -> None:
            change(number)
            files.extend(peer.picture([person], how))

        now += seconds_of(both, base)
        ended.append(now)
    return files, ended


@contextmanager
def mixed_batch(peer: Peer, names: Sequence[str]) -> Iterator[None]:
    """Let sample b of every batch use adapter `names[b]`, by PEFT's own mixed batches (and again for guidance)."""

    def tell(_: torch.nn.Module, args: tuple[torch.Tensor], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return args, kwargs | {"adapter_names": list(names) * (len(args[0]) // len(names))}

    networks = [part for part in peer.pipeline.components.values() if isinstance(part, torch.nn.Module)]
    modules = [module for network in networks for module in network.modules()]
    hooks = [m.register_forward_pre_hook(tell, with_kwargs=True) for m in modules if isinstance(m, LoraLayer)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def difference(ours: Files, theirs: Files) -> float:
    pairs = [
        [np.asarray(Image.open(path), dtype=np.float32) / 255 for path in pair]
        for pair in zip(ours, theirs, strict=True)
    ]
    return max(float(np.abs(one - other).max()) for one, other in pairs)


def peak_mb(side: str, arguments: argparse.Namespace) -> float:
    """Return the most memory that a side takes: of the GPU or, without one, of a process that does nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments, Path(folder))
        bench.side(side)()
        if bench.base.device.type == "cuda":
            return torch.cuda.max_memory_allocated() / 2**20
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 2**10


@dataclass
class Tally:
    """What the turns of one side have shown."""

    files: Files = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    def rate(self, pictures: int) -> float:
        return pictures / statistics.median(self.seconds)

    def p95_ms(self) -> float:
        return float(np.percentile(self.latencies, 95)) * 1000


def take_turns(bench: Bench, rounds: int) -> dict[str, Tally]:
    """Let each side draw everybody's pictures so many times, after once to warm up."""
    tallies = {name: Tally() for name in SIDES}
    for turn in range(rounds + 1):
        for name, tally in tallies.items():
            wait_for(bench.base.device)
            began = time.perf_counter()
            tally.files, latencies = bench.side(name)()
            wait_for(bench.base.device)
            if turn:
                tally.seconds.append(time.perf_counter() - began)
                tally.latencies += latencies
    return tallies


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(arguments, Path(folder))
        tallies = take_turns(bench, arguments.rounds)
        differences = [difference(tallies["ours"].files, tallies[name].files) for name in SIDES[1:]]
    rates = {name: tally.rate(len(bench.people)) for name, tally in tallies.items()}
    peer = max(("load_lora_weights", "set_adapters"), key=lambda name: rates[name])
    return {
        "device": str(bench.base.device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "base": bench.base.digest[:16],
        "sizes": {
            "pixels": bench.how.size,
            "steps": bench.how.steps,
            "guidance_scale": bench.how.guidance_scale,
            "rank": SERVING_RANK,
            "rounds": arguments.rounds,
            "precision": bench.base.accelerator.mixed_precision,
        },
        "users": len(bench.people),
        "compiled": bench.compiled,
        "peer": peer,
        "ours_images_s": rates["ours"],
        "peer_images_s": rates[peer],
        "load_lora_weights_images_s": rates["load_lora_weights"],
        "set_adapters_images_s": rates["set_adapters"],
        "peft_mixed_images_s": rates["peft_mixed"],
        "ratio": rates["ours"] / rates[peer],
        "p95_ms": {"ours": tallies["ours"].p95_ms(), "peer": tallies[peer].p95_ms()},
        "max_difference": max(differences),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=str(BUNDLE / "base"), help="a folder, a hub id, sd15-random or sdxl-random")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--steps", type=int, help="(default: the family's own)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--compile", action="store_true", help="let ours compile the U-Net, where that pays")
    parser.add_argument("--no-memory", action="store_true", help="leave out the two processes that measure memory")
    arguments = parser.parse_args()
    result = measure(arguments)
    if not arguments.no_memory:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
            work = partial(peak_mb, arguments=arguments)
            result["peak_mb"] = dict(zip(("ours", "peer"), pool.map(work, ("ours", result["peer"])), strict=True))
    print(json.dumps(rounded(result)))


if __name__ == "__main__":
    main()
