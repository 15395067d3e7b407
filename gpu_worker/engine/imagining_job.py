"""The course of one imagine job: put the person into a slot, draw, save."""

import time
from collections.abc import Generator

from gpu_worker import pipe
from gpu_worker.engine.adapters import AdapterRefused
from gpu_worker.engine.photos import to_image
from gpu_worker.engine.provenance import save_picture
from gpu_worker.engine.recipes import default_sampler
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, Sampler, draw
from gpu_worker.engine.sizes import drawing_size, for_display
from storage.contract import MAX_SEED, ImagineRequest
from storage.faults import reach


def imagine(model: Resident, order: pipe.Imagine) -> Generator[pipe.Report | None, None, None]:
    """Draw the pictures of an order into its folder, with seeds seed, seed + 1, ...

    Yields a report, or None after each denoising step. Raises `AdapterRefused`, torch.OutOfMemoryError.
    """
    started, request, base = time.monotonic(), order.request, model.base
    usual = default_sampler(base.family)
    sampler = Sampler(steps=request.steps or usual.steps, guidance_scale=request.guidance_scale or usual.guidance_scale)
    yield pipe.Began(job=request.job, steps=sampler.steps)
    slot = _slot(model, order)
    orders = [_one_picture(request, slot, place) for place in range(request.count)]
    pixels = yield from draw(model, orders, sampler, drawing_size(base, request.width, request.height))
    files = []
    for place, (one, picture) in enumerate(zip(orders, pixels, strict=True)):
        shown = for_display(base, to_image(picture), request.width, request.height)
        path = order.folder / f"{place}.png"
        save_picture(shown, path)
        reach("picture.saved")
        files.append(pipe.PictureFile(path=path, seed=one.seed, width=shown.width, height=shown.height))
    yield pipe.ImaginingDone(job=request.job, pictures=tuple(files), seconds=time.monotonic() - started)


def _slot(model: Resident, order: pipe.Imagine) -> int:
    if order.request.adapter is None:
        return 0
    if order.adapter is None:
        raise AdapterRefused("the order names an adapter but brings no file")
    return model.slot_of(order.adapter, order.request.adapter.digest)


def _one_picture(request: ImagineRequest, slot: int, place: int) -> PictureOrder:
    seed = (request.seed + place) % (MAX_SEED + 1)
    return PictureOrder(prompt=request.prompt, negative_prompt=request.negative_prompt, seed=seed, slot=slot)
