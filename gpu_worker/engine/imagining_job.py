"""One imagine job: what it asks for, its pictures in work, and the files that they become."""

import time
from collections.abc import Hashable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path

from PIL import Image

from gpu_worker import pipe
from gpu_worker.engine.adapters import AdapterRefused
from gpu_worker.engine.fast_copy import sampler_for
from gpu_worker.engine.photos import to_image
from gpu_worker.engine.picture_tools import Sheet, sheet_for
from gpu_worker.engine.provenance import ending_for, save_picture
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, Row, decode, plan_of, start, windows_of
from gpu_worker.engine.texts import Saying
from gpu_worker.engine.turns import Turn
from storage.contract import MAX_SEED
from storage.faults import reach


class Imagining:
    """Draws the pictures of an order into its folder, with seeds seed, seed + 1, ... Raises `PictureMissing`."""

    def __init__(self, model: Resident, order: pipe.Imagine) -> None:
        self.model, self.order, self.request = model, order, order.request
        self.sampler = sampler_for(model, self.request)
        self.sheet = sheet_for(model.base, self.request, order.source, order.mask)
        self.turns = [self._turn() for _ in range(self.request.count)]
        self.rows: list[Row] = []
        """The pictures in work, one for each turn; none before the job has begun."""
        self.files: list[Future[pipe.PictureFile]] = []
        """The pictures on their way to the disk."""
        self._slots: list[int] = []
        """Of its adapters, while it holds them."""
        self.seconds = 0.0
        """Of the device's time: of a step with others' pictures, its own share."""

    @property
    def id(self) -> str:
        return self.request.job

    @property
    def drawn(self) -> bool:
        return bool(self.rows) and all(row.done for row in self.rows)

    def can_begin(self) -> bool:
        """Tell whether there are slots for the people's models."""
        return self.model.has_room_for(*(digest for _, digest in self._adapters()))

    def begin(self) -> pipe.Began:
        """Put the people into slots and get the pictures ready. Raises `AdapterRefused` and `NoFreeSlot`."""
        began = time.monotonic()
        for path, digest in self._adapters():
            if path is None:
                raise AdapterRefused("the order names an adapter but brings no file")
            self._slots.append(self.model.hold(path, digest))
        self.rows = start(
            self.model, self._orders(), self.sampler, self.sheet.drawn, self.model.serving, self.model.embed
        )
        self.seconds += time.monotonic() - began
        return pipe.Began(job=self.id, steps=len(self.rows[0].schedule))

    def finish(self, encoders: Executor) -> None:
        """Decode what is drawn, and let it be written; the slots are free then."""
        began = time.monotonic()
        pictures = [to_image(picture) for picture in decode(self.model.base, self.rows)]
        self.end()
        ending = ".png" if self.request.lossless else ending_for(self.sheet.shown)
        scores = self._scores(pictures)
        self.seconds += time.monotonic() - began
        for place, (row, drawn, score) in enumerate(zip(self.rows, pictures, scores, strict=True)):
            path = self.order.folder / f"{place}{ending}"
            self.files.append(encoders.submit(_write, self.sheet, drawn, row.order.seed, path, score))

    def report(self) -> pipe.ImaginingDone:
        """Return the last report, waiting for the files. Raises OSError when they could not be written."""
        files = tuple(file.result() for file in self.files)
        return pipe.ImaginingDone(job=self.id, pictures=files, seconds=self.seconds)

    def end(self) -> None:
        """Free the slots; of files, none is begun from now on."""
        while self._slots:
            self.model.let_go(self._slots.pop())

    def _turn(self) -> Turn:
        windows = windows_of(self.model.base, self.sheet.drawn, len(self.request.subjects) or 1)
        height, width = windows[0].height, windows[0].width
        alone = self.id if self.order.alone else None
        key: Hashable = height, width, self.sampler.guided, self.sampler.fast, alone
        area = height * width * (self.model.base.pixels_per_latent / self.model.base.resolution) ** 2
        return Turn(
            job=self.id,
            person=self.request.person or self.id,
            key=key,
            step_cost=(1 + self.sampler.guided) * len(windows) * area,
            steps_left=len(plan_of(self.model, self.sampler, self.sheet.strength)),
            places=len(windows),
        )

    def _adapters(self) -> list[tuple[Path | None, str]]:
        """Return files and digests of what it is drawn with."""
        if self.request.adapter is not None:
            return [(self.order.adapter, self.request.adapter.digest)]
        files = self.order.subjects or (None,) * len(self.request.subjects)
        return [(file, subject.adapter.digest) for file, subject in zip(files, self.request.subjects, strict=True)]

    def _scores(self, pictures: Sequence[Image.Image]) -> list[float | None]:
        """Return how alike each picture is to its subject's photos, where that is asked for and can be told."""
        if not self.request.scored or self.request.adapter is None or self.order.adapter is None:
            return [None] * len(pictures)
        return self.model.likeness(self.order.adapter, self.request.adapter.digest, pictures)

    def _orders(self) -> list[PictureOrder]:
        request = self.request
        subjects = tuple(
            Saying(subject.prompt, slot) for subject, slot in zip(request.subjects, self._slots, strict=False)
        )
        origin = self.sheet.origin(self.model.base)
        return [
            PictureOrder(
                prompt=request.prompt,
                negative_prompt=request.negative_prompt,
                seed=(request.seed + place) % (MAX_SEED + 1),
                slot=self._slots[0] if request.adapter is not None else 0,
                subjects=subjects,
                origin=origin,
            )
            for place in range(request.count)
        ]


def _write(sheet: Sheet, drawn: Image.Image, seed: int, path: Path, score: float | None) -> pipe.PictureFile:
    shown = sheet.finish(drawn)
    save_picture(shown, path)
    reach("picture.saved")
    return pipe.PictureFile(path=path, seed=seed, width=shown.width, height=shown.height, score=score)
