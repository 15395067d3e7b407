"""How long a change of person takes, with every adapter in memory already.

Ours copies an adapter from memory into a slot, in place of another person's. `load_lora` unloads the one before and
calls diffusers' `load_lora_weights`; `hotswap` is its in-place form, which knows no text encoder, so that only the
U-Net's part is changed; `set_adapters` chooses among adapters that are all loaded.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks._bases import open_base
from benchmarks._people import Peer, Person, people_of, seconds_of
from benchmarks.main_job import BUNDLE, rounded
from gpu_worker.engine.resident import SERVING_RANK, Resident

PEOPLE = 8


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        base = open_base(arguments.base, arguments.device)
        loading, hot, switching = (Peer(base, Path(folder)) for _ in range(3))
        model = Resident(base, slots=1)
        people = people_of(model, PEOPLE, SERVING_RANK, Path(folder))
        for person in people:
            model.prefetch(person.path, person.digest)
        sides: dict[str, Callable[[int], object]] = {
            "ours": lambda number: model.slot_of(people[number].path, people[number].digest),
            "load_lora": lambda number: loading.load(people[number]),
            "hotswap": hotswap(hot, people),
            "set_adapters": lambda number: switching.pipeline.set_adapters([f"p{number}"]),
        }
        switching.load_all(people)
        milliseconds: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(arguments.rounds + 1):
            for name, change in sides.items():
                took = seconds_of(lambda change=change, turn=turn: change(turn % PEOPLE), base)  # type: ignore[misc]
                if turn:  # the first is to warm up
                    milliseconds[name].append(took * 1000)
        medians = {name: statistics.median(times) for name, times in milliseconds.items()}
        return {
            "device": str(base.device),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "base": base.digest[:16],
            "sizes": {
                "layers": len(model.slots.layers),
                "rank": SERVING_RANK,
                "adapter_mb": model.host.bytes / len(people) / 2**20,
                "rounds": arguments.rounds,
            },
            **{f"{name}_ms": value for name, value in medians.items()},
            "ratio": medians["load_lora"] / medians["ours"],
        }


def hotswap(peer: Peer, people: list[Person]) -> Callable[[int], object]:
    """Return a change of person that replaces the first one's weights in place."""
    states = [{key: value for key, value in person.state().items() if key.startswith("unet.")} for person in people]
    peer.pipeline.enable_lora_hotswap(target_rank=SERVING_RANK)
    peer.pipeline.load_lora_weights(dict(states[0]), adapter_name="one")
    return lambda number: peer.pipeline.load_lora_weights(dict(states[number]), hotswap=True, adapter_name="one")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=str(BUNDLE / "base"), help="a folder, a hub id, sd15-random or sdxl-random")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=7, help="changes of each side")
    print(json.dumps(rounded(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
