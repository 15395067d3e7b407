"""How long a picture waits for its first step while a training runs, and what endless pictures cost the training.

The engine's own loop, as the worker runs it. `first_step_ms` is the time from the order to the end of the picture's
first denoising step, the median of several: with nothing else to do, and with a training in work, in the middle of
whose steps the orders come. `train_steps_lost_share` is what the training loses of its steps a second while more
pictures wait than a batch holds; `floor` is the share of the engine's time that it is promised.
"""

import argparse
import json
import queue
import random
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks._bases import open_base
from benchmarks._people import Drawing, Ours, Person, people_of
from benchmarks.main_job import BUNDLE, IDENTIFIER, rounded
from gpu_worker import pipe
from gpu_worker.engine.loop import EngineLoop
from gpu_worker.engine.recipes import default_sampler
from gpu_worker.engine.resident import SERVING_RANK, Resident
from gpu_worker.engine.turns import TRAINING_FLOOR, Turn
from storage.contract import Quality, Stage, SubjectKind, TrainingOptions, TrainRequest

WARM_UP_STEPS = 10


class Play:
    """Gives orders from a thread of its own while the loop runs, and notes when what happened."""

    def __init__(self, model: Resident, people: Sequence[Person], folder: Path) -> None:
        usual = default_sampler(model.base.family)
        self.model, self.people, self.folder = model, people, folder
        self.how = Drawing(usual.steps, usual.guidance_scale, model.base.resolution)
        self.orders: queue.SimpleQueue[pipe.Order | None] = queue.SimpleQueue()
        self.loop = EngineLoop(model, folder / "cache", self.orders, self.hear)
        self.asked: dict[str, float] = {}
        self.first_step: dict[str, float] = {}
        self.done: set[str] = set()
        self.train_steps = 0
        self.news = threading.Condition()
        draw = self.loop.studio.draw

        def watched(batch: Sequence[Turn]) -> None:
            draw(batch)
            for turn in batch:
                self.first_step.setdefault(turn.job, time.perf_counter())

        self.loop.studio.draw = watched  # type: ignore[method-assign]

    def hear(self, report: pipe.Frame) -> None:
        if isinstance(report, pipe.JobFailed):
            raise RuntimeError(report.detail)
        with self.news:
            if isinstance(report, pipe.ImaginingDone):
                self.done.add(report.job)
            if isinstance(report, pipe.Progress) and report.stage is Stage.TRAINING:
                self.train_steps = report.step
            self.news.notify_all()

    def wait(self, until: Callable[[], bool]) -> None:
        with self.news:
            self.news.wait_for(until)

    def ask(self, number: int) -> str:
        order = Ours(self.model, self.folder).order(self.people[number % len(self.people)], self.how)
        self.asked[order.request.job] = time.perf_counter()
        self.orders.put(order)
        return order.request.job

    def first_step_ms(self, count: int, pause: float) -> float:
        """Ask for pictures one after the other, at any moment, and return how long their first steps took to come."""
        waits = []
        for number in range(count):
            time.sleep(random.random() * pause)
            job = self.ask(number)
            self.wait(lambda job=job: job in self.done)  # type: ignore[misc]
            waits.append(self.first_step[job] - self.asked[job])
        return statistics.median(waits) * 1000

    def train(self) -> None:
        photos = tuple(sorted((BUNDLE / "photos" / "rex" / "train").glob("*.jpg")))
        job = uuid.uuid4().hex
        (self.folder / job).mkdir()
        request = TrainRequest(
            job=job,
            attempt=1,
            model=job,
            base="local",
            identifier=IDENTIFIER,
            class_noun="dog",
            subject_kind=SubjectKind.PET,
            quality=Quality.GOOD,
            photos=tuple(f"photos/local/{place}.png" for place in range(len(photos))),
            options=TrainingOptions(steps=10_000, prior_weight=0),  # nothing to draw beforehand
            seed=0,
        )
        self.orders.put(pipe.Train(request=request, photos=photos, folder=self.folder / job))

    def train_steps_s(self, steps: int) -> float:
        """Return how fast the training goes over so many steps."""
        first, began = self.train_steps, time.perf_counter()
        self.wait(lambda: self.train_steps >= first + steps)
        return (self.train_steps - first) / (time.perf_counter() - began)

    def under_pictures(self, steps: int) -> float:
        """The same while more pictures wait than a batch holds."""
        ending, most = threading.Event(), 2 * self.loop.studio.room.most

        def waiting() -> int:
            return len(self.asked.keys() - self.done)

        def keep_asking() -> None:
            while not ending.is_set():
                for number in range(most - waiting()):
                    self.ask(number)
                self.wait(lambda: ending.is_set() or waiting() < most // 2)

        crowd = threading.Thread(target=keep_asking, daemon=True)
        crowd.start()
        self.wait(lambda: bool(self.loop.studio.turns.waiting))
        rate = self.train_steps_s(steps)
        ending.set()
        with self.news:
            self.news.notify_all()
        crowd.join()
        return rate

    def through(self, pictures: int, train_steps: int) -> dict[str, Any]:
        """Play all of it and return what it shows."""
        self.first_step_ms(1, 0)  # to warm up
        idle = self.first_step_ms(pictures, 0.1)
        self.train()
        self.wait(lambda: self.train_steps >= WARM_UP_STEPS)
        alone = self.train_steps_s(train_steps)
        training = self.first_step_ms(pictures, 2 / alone)
        crowded = self.under_pictures(train_steps)
        return {
            "first_step_ms": {"idle": idle, "training": training},
            "train_step_ms": 1000 / alone,
            "train_steps_lost_share": 1 - crowded / alone,
        }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        model = Resident(open_base(arguments.base, arguments.device))
        play = Play(model, people_of(model, arguments.users, SERVING_RANK, Path(folder)), Path(folder))
        found: dict[str, Any] = {}

        def act() -> None:
            try:
                found.update(play.through(arguments.pictures, arguments.train_steps))
            finally:
                play.orders.put(None)

        actor = threading.Thread(target=act, daemon=True)
        actor.start()
        play.loop.run()
        actor.join()
        return {
            "device": str(model.base.device),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "base": model.base.digest[:16],
            "sizes": {
                "pixels": play.how.size,
                "steps": play.how.steps,
                "pictures": arguments.pictures,
                "train_steps": arguments.train_steps,
                "largest_batch": play.loop.studio.room.largest,
            },
            "users": arguments.users,
            "floor": TRAINING_FLOOR,
            **found,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=str(BUNDLE / "base"), help="a folder, a hub id, sd15-random or sdxl-random")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=5, help="pictures whose first step is timed, each way")
    parser.add_argument("--train-steps", type=int, default=20, help="steps over which the training is timed, each way")
    print(json.dumps(rounded(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
