"""The worker's side of the engine's loop: orders in, reports out, in one process."""

import queue
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from gpu_worker import pipe
from gpu_worker.engine.loop import EngineLoop
from gpu_worker.engine.resident import Resident
from storage.contract import Adapter, ImagineRequest, Quality, SubjectKind, TrainingOptions, TrainRequest
from storage.worker_status import EngineStatus

T = TypeVar("T")


def of_kind(reports: list[pipe.Frame], kind: type[T]) -> list[T]:
    return [report for report in reports if isinstance(report, kind)]


class Desk:
    """The parent's side: orders may be given beforehand, or in answer to a report."""

    def __init__(self, model: Resident, folder: Path, photos: tuple[Path, ...]) -> None:
        self.folder, self.photos = folder, photos
        self.orders: queue.SimpleQueue[pipe.Order | None] = queue.SimpleQueue()
        self.reports: list[pipe.Frame] = []
        self.signs_of_life = 0
        self.status: list[EngineStatus] = []
        self.answers: list[tuple[type[pipe.Frame], pipe.Order | None]] = []
        self.awaited: set[str] = set()
        self.loop = EngineLoop(model, folder / "cache", self.orders, self.hear)

    def hear(self, report: pipe.Frame) -> None:
        if isinstance(report, pipe.Alive):
            self.signs_of_life += 1
            return
        if isinstance(report, pipe.Status):
            self.status.append(report.engine)
            return
        self.reports.append(report)
        if isinstance(report, pipe.LAST) and report.job in self.awaited:
            self.awaited.remove(report.job)
            if not self.awaited:
                self.orders.put(None)
        for kind, order in list(self.answers):
            if isinstance(report, kind):
                self.answers.remove((kind, order))
                self.orders.put(order)

    def run(self, *orders: pipe.Order, end_with: Iterable[pipe.Train] = ()) -> list[pipe.Frame]:
        """Work on `orders` until one ends the loop, or until `end_with` have come to their ends."""
        self.awaited = {order.request.job for order in end_with}
        for order in orders:
            self.orders.put(order)
        self.loop.run()
        return self.reports

    def training(
        self,
        *,
        steps: int = 10,
        checkpoint: Path | None = None,
        job: str = "",
        person: str | None = None,
        rank: int = 2,
        seed: int = 3,
    ) -> pipe.Train:
        job = job or uuid.uuid4().hex
        request = TrainRequest(
            job=job,
            attempt=1,
            model=job,
            base="tiny",
            identifier="sks",
            class_noun="dog",
            subject_kind=SubjectKind.PET,
            quality=Quality.FAST,
            photos=tuple(f"photos/{job}/{n}.png" for n in range(len(self.photos))),
            options=TrainingOptions(steps=steps, rank=rank, batch_size=2, class_images=3),
            person=person,
            seed=seed,
        )
        (self.folder / job).mkdir(exist_ok=True)
        return pipe.Train(request=request, photos=self.photos, checkpoint=checkpoint, folder=self.folder / job)

    def picture(self, adapter: Path | None = None, digest: str = "", *, count: int = 1) -> pipe.Imagine:
        job = uuid.uuid4().hex
        (self.folder / job).mkdir()
        request = ImagineRequest(
            job=job,
            attempt=1,
            base="tiny",
            prompt="sks dog on the moon",
            adapter=Adapter(model=job, key="models/a/b", digest=digest) if adapter else None,
            count=count,
            seed=2**32 - 1,
            steps=3,
        )
        return pipe.Imagine(request=request, adapter=adapter, folder=self.folder / job)
