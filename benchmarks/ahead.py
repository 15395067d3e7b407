"""What fetching a model ahead saves of the wait for the first picture with it.

From the order's arrival at a worker until its person is in a slot and the prompt is encoded, which is when the first
step can begin: `cold_ms` where neither the worker's disk nor the engine knows the model, `ahead_ms` where both were
told of it beforehand. The blob store is a folder on this disk, so nothing of it is the network's; `store_ms` adds a
wait to each answer of the store, as a distant one has. Medians over people whom nobody has seen before, in turn.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks._bases import open_base
from benchmarks._people import Person, people_of
from benchmarks.main_job import BUNDLE, rounded
from gpu_worker.engine.resident import SERVING_RANK, Resident
from gpu_worker.engine.texts import Saying
from gpu_worker.shelf import Shelf
from storage.blobs import Blobs
from storage.contract import Adapter


class Distant(Blobs):
    """A store whose every answer takes a while."""

    seconds = 0.0

    async def exists(self, key: str) -> bool:
        await asyncio.sleep(self.seconds)
        return await super().exists(key)

    async def get_file(self, key: str, path: Path) -> str:
        await asyncio.sleep(self.seconds)
        return await super().get_file(key, path)


class Worker:
    def __init__(self, model: Resident, store: Blobs, folder: Path) -> None:
        self.model, self.folder = model, folder
        self.shelf = Shelf(store, folder / "shelf")

    async def tell(self, adapter: Adapter) -> None:
        """Fetch a model ahead, as a hint makes the worker do."""
        if path := await self.shelf.stock(adapter):
            self.model.prefetch(path, adapter.digest)

    async def first_step_ms(self, adapter: Adapter, person: Person) -> float:
        began = time.perf_counter()
        path = self.folder / f"{adapter.model}.safetensors"
        await self.shelf.bring(adapter, path)
        slot = self.model.slot_of(path, adapter.digest)
        self.model.embed([Saying(person.prompt, slot)])
        return (time.perf_counter() - began) * 1000


async def compare(worker: Worker, adapters: Sequence[Adapter], people: Sequence[Person]) -> tuple[float, float]:
    """Return the medians without and with a hint; every second person is told of."""
    waits: tuple[list[float], list[float]] = [], []
    for number, (adapter, person) in enumerate(zip(adapters, people, strict=True)):
        if told := number % 2:
            await worker.tell(adapter)
        waits[told].append(await worker.first_step_ms(adapter, person))
    cold, ahead = (statistics.median(each[1:]) for each in waits)  # the first of each is to warm up
    return cold, ahead


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = Resident(open_base(arguments.base, arguments.device))
        people = people_of(model, 2 * arguments.people + 2, SERVING_RANK, folder)
        store = Distant.open(str(folder / "blobs"))
        store.seconds = arguments.store_ms / 1000

        async def run() -> tuple[float, float]:
            adapters = []
            for number, person in enumerate(people):
                key = f"models/{number}/adapter.safetensors"
                await store.put_file(key, person.path)
                adapters.append(Adapter(model=f"{number:032x}", key=key, digest=person.digest))
            return await compare(Worker(model, store, folder), adapters, people)

        cold, ahead = asyncio.run(run())
        return {
            "device": str(model.base.device),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "base": model.base.digest[:16],
            "sizes": {
                "people": arguments.people,
                "rank": SERVING_RANK,
                "adapter_mb": people[0].path.stat().st_size / 2**20,
                "store_ms": arguments.store_ms,
            },
            "cold_ms": cold,
            "ahead_ms": ahead,
            "ratio": cold / ahead,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=str(BUNDLE / "base"), help="a folder, a hub id, sd15-random or sdxl-random")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--people", type=int, default=10, help="people of each kind")
    parser.add_argument("--store-ms", type=float, default=0.0, help="what each answer of the blob store takes longer")
    print(json.dumps(rounded(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
