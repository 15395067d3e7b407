"""One imagine job: what it asks for, its pictures in work, and the files that they become."""

import time
from collections.abc import Hashable
from concurrent.futures import Executor, Future
from pathlib import Path

from PIL import Image

from gpu_worker import pipe
from gpu_worker.engine.adapters import AdapterRefused
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.photos import to_image
from gpu_worker.engine.provenance import save_picture
from gpu_worker.engine.recipes import default_sampler
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, Row, Sampler, decode, start
from gpu_worker.engine.sizes import drawing_size, for_display
from gpu_worker.engine.turns import Turn
from storage.contract import MAX_SEED, ImagineRequest
from storage.faults import reach


class Imagining:
    """Draws the pictures of an order into its folder, with seeds seed, seed + 1, ..."""

    def __init__(self, model: Resident, order: pipe.Imagine) -> None:
        self.model, self.order, self.request = model, order, order.request
        usual = default_sampler(model.base.family)
        self.sampler = Sampler(
            steps=self.request.steps or usual.steps, guidance_scale=self.request.guidance_scale or usual.guidance_scale
        )
        self.size = drawing_size(model.base, self.request.width, self.request.height)
        self.turns = [self._turn() for _ in range(self.request.count)]
        self.rows: list[Row] = []
        """The pictures in work, one for each turn; none before the job has begun."""
        self.files: list[Future[pipe.PictureFile]] = []
        """The pictures on their way to the disk."""
        self._slot = 0
        self._began = 0.0

    @property
    def id(self) -> str:
        return self.request.job

    @property
    def drawn(self) -> bool:
        return bool(self.rows) and all(row.done for row in self.rows)

    def can_begin(self) -> bool:
        """Tell whether there is a slot for the person's model."""
        adapter = self.request.adapter
        return adapter is None or self.model.has_room_for(adapter.digest)

    def begin(self) -> pipe.Began:
        """Put the person into a slot and get the pictures ready. Raises `AdapterRefused` and `NoFreeSlot`."""
        self._slot = self._hold_slot()
        self._began = time.monotonic()
        orders = [_one_picture(self.request, self._slot, place) for place in range(self.request.count)]
        self.rows = start(self.model, orders, self.sampler, self.size, self.model.serving, self.model.embed)
        return pipe.Began(job=self.id, steps=self.sampler.steps)

    def finish(self, encoders: Executor) -> None:
        """Decode what is drawn, and let it be written; the slot is free then."""
        pixels = decode(self.model, self.rows)
        self.end()
        for place, (row, picture) in enumerate(zip(self.rows, pixels, strict=True)):
            path, shown = self.order.folder / f"{place}.png", to_image(picture)
            self.files.append(encoders.submit(_write, self.model.base, self.request, shown, row.order.seed, path))

    def report(self) -> pipe.ImaginingDone:
        """Return the last report, waiting for the files. Raises OSError when they could not be written."""
        files = tuple(file.result() for file in self.files)
        return pipe.ImaginingDone(job=self.id, pictures=files, seconds=time.monotonic() - self._began)

    def end(self) -> None:
        """Free the slot; of files, none is begun from now on."""
        if self._slot:
            self.model.let_go(self._slot)
            self._slot = 0

    def _turn(self) -> Turn:
        width, height = self.size
        key: Hashable = self.size, self.sampler.guided, self.id if self.order.alone else None
        cost = (1 + self.sampler.guided) * width * height / self.model.base.resolution**2
        return Turn(
            job=self.id, person=self.request.person or self.id, key=key, step_cost=cost, steps_left=self.sampler.steps
        )

    def _hold_slot(self) -> int:
        if self.request.adapter is None:
            return 0
        if self.order.adapter is None:
            raise AdapterRefused("the order names an adapter but brings no file")
        return self.model.hold(self.order.adapter, self.request.adapter.digest)


def _one_picture(request: ImagineRequest, slot: int, place: int) -> PictureOrder:
    seed = (request.seed + place) % (MAX_SEED + 1)
    return PictureOrder(prompt=request.prompt, negative_prompt=request.negative_prompt, seed=seed, slot=slot)


def _write(base: BaseModel, request: ImagineRequest, picture: Image.Image, seed: int, path: Path) -> pipe.PictureFile:
    shown = for_display(base, picture, request.width, request.height)
    save_picture(shown, path)
    reach("picture.saved")
    return pipe.PictureFile(path=path, seed=seed, width=shown.width, height=shown.height)
