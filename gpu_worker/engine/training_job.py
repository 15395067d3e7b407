"""The course of one training job, from photos to a published model, as a generator of reports.

It yields a report for the worker, or None, wherever the engine may turn to something else. Throwing `Stopping` into it
makes it write a last checkpoint and end; closing it just ends it.
"""

import logging
import math
import time
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from gpu_worker import pipe, prompts
from gpu_worker.engine.adapters import AdapterFile, AdapterHeader, file_digest, save_adapter
from gpu_worker.engine.checkpoints import (
    CheckpointRefused,
    Position,
    load_checkpoint,
    prune,
    save_checkpoint,
    training_digest,
)
from gpu_worker.engine.class_images import BATCH, class_image_paths, draw_class_images
from gpu_worker.engine.export import save_kohya
from gpu_worker.engine.photos import load_photos, to_image, to_pixels, views_of
from gpu_worker.engine.provenance import save_picture
from gpu_worker.engine.recipes import Recipe, choose_recipe
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, draw, for_display
from gpu_worker.engine.training import SLOT, Diverged, DreamBooth, Latents
from storage.contract import Stage

log = logging.getLogger(__name__)

Reports = Generator[pipe.Report | None, None, None]

READ_EVERY = 5
"""Steps between two readings of the losses: each reading waits for the device."""
CHECKPOINT_SECONDS = 20.0
SAMPLE_SEED = 1000


class Stopping(Exception):
    """The engine is asked to end: save what there is."""


@dataclass
class Course:
    """What a training job carries from stage to stage."""

    order: pipe.Train
    recipe: Recipe
    started: float
    losses: list[float]
    unread: list[Tensor]
    checkpoints: deque[Path]
    digest: str

    @property
    def job(self) -> str:
        return self.order.request.job


def train(model: Resident, order: pipe.Train, cache: Path) -> Reports:
    """Train one subject and write everything into the order's folder.

    Raises `Diverged`, FileNotFoundError for a missing photo, torch.OutOfMemoryError.
    """
    request = order.request
    recipe = choose_recipe(model.base.family, request.subject_kind, request.quality, len(order.photos), request.options)
    course = Course(order, recipe, time.monotonic(), [], [], deque(), _digest(model, order, recipe))
    yield pipe.Began(job=course.job, steps=recipe.steps)

    yield _progress(course, Stage.PREPARING, 0, 1)
    photos = yield from _encode([views_of(p, model.base.resolution) for p in load_photos(order.photos)], model)
    class_images = yield from _class_latents(model, course, cache)
    trainer = DreamBooth(
        model,
        recipe,
        photos,
        class_images,
        prompts.instance_prompt(request.identifier, request.class_noun, request.subject_kind),
        prompts.class_prompt(request.class_noun, request.subject_kind),
        request.seed,
    )
    _resume(course, trainer)
    try:
        yield from _train(model, course, trainer)
    except Stopping:
        yield _checkpoint(course, trainer)
        return
    yield from _publish(model, course, trainer)


def _encode(views: Sequence[Tensor], model: Resident) -> Generator[None, None, Latents]:
    """Encode the views [K, 3, S, S] of N images."""
    encoded = []
    for of_one in views:
        encoded.append(model.base.encode_images(of_one))
        yield
    return Latents(torch.stack([mean for mean, _ in encoded]), torch.stack([std for _, std in encoded]))


def _class_latents(model: Resident, course: Course, cache: Path) -> Generator[pipe.Report | None, None, Latents | None]:
    if not course.recipe.prior:
        return None
    request = course.order.request
    prompt = prompts.class_prompt(request.class_noun, request.subject_kind)
    paths = class_image_paths(model.base, prompt, course.recipe.class_images, cache)
    missing = [path for path in paths if not path.is_file()]
    for start in range(0, len(missing), BATCH):
        yield _progress(course, Stage.CLASS_IMAGES, len(paths) - len(missing) + start, len(paths))
        yield from draw_class_images(model, prompt, missing[start : start + BATCH], course.recipe.sampler)
    images = load_photos(paths)
    return (yield from _encode([to_pixels(image).unsqueeze(0) for image in images], model))


def _resume(course: Course, trainer: DreamBooth) -> None:
    path = course.order.checkpoint
    if path is None:
        return
    try:
        position, tensors = load_checkpoint(path, course.digest)
        trainer.restore(tensors, position.step)
    except (CheckpointRefused, KeyError, RuntimeError) as problem:
        log.warning("job %s starts anew: %s", course.job, problem)
        return
    course.losses = list(position.losses)
    log.info("job %s goes on from step %d", course.job, position.step)


def _train(model: Resident, course: Course, trainer: DreamBooth) -> Reports:
    steps, pace, saved_at = course.recipe.steps, Pace(), time.monotonic()
    sample_steps = set(_sample_steps(course.recipe))
    while trainer.position < steps:
        pace.begin()
        course.unread.append(trainer.step())
        pace.end()
        done = trainer.position
        if done % READ_EVERY == 0 or done == steps:
            yield _read_losses(course, done, pace.seconds_for(steps - done))
        if done in sample_steps:
            yield (yield from _sample(model, course, trainer))
        if done < steps and time.monotonic() - saved_at > CHECKPOINT_SECONDS:
            yield _checkpoint(course, trainer)
            saved_at = time.monotonic()
        yield None


def _sample_steps(recipe: Recipe) -> list[int]:
    """Spread the sample pictures over the training; the last are drawn once it is published."""
    return [round(recipe.steps * part / recipe.candidates) for part in range(1, recipe.candidates)]


def _read_losses(course: Course, step: int, seconds_left: float) -> pipe.Progress:
    read = torch.stack(course.unread).tolist()
    course.unread.clear()
    if not all(math.isfinite(loss) for loss in read):
        raise Diverged(f"the loss is not finite at step {step}")
    course.losses += read
    return pipe.Progress(
        job=course.job,
        stage=Stage.TRAINING,
        step=step,
        steps=course.recipe.steps,
        loss=sum(read) / len(read),
        seconds_left=seconds_left,
    )


def _sample(model: Resident, course: Course, trainer: DreamBooth) -> Generator[None, None, pipe.Sampled]:
    """Draw the fixed prompts at fixed seeds from the slot in training, as one picture."""
    pictures = yield from _draw_samples(model, course, trainer)
    path = course.order.folder / f"sample-{trainer.position:06d}.png"
    save_picture(contact_sheet(pictures), path)
    return pipe.Sampled(job=course.job, step=trainer.position, path=path)


def _draw_samples(model: Resident, course: Course, trainer: DreamBooth) -> Generator[None, None, list[Image.Image]]:
    request = course.order.request
    wanted = prompts.sample_prompts(request.identifier, request.class_noun, request.subject_kind)
    orders = [PictureOrder(prompt=p, seed=SAMPLE_SEED + n, slot=SLOT) for n, p in enumerate(wanted)]
    pixels = yield from draw(model, orders, course.recipe.sampler, bank=trainer.bank)
    return [to_image(picture) for picture in pixels]


def contact_sheet(pictures: Sequence[Image.Image], side: int = 256) -> Image.Image:
    """Put pictures on one sheet, two in a row, each `side` pixels wide."""
    sheet = Image.new("RGB", (2 * side, math.ceil(len(pictures) / 2) * side))
    for place, picture in enumerate(pictures):
        sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (place % 2 * side, place // 2 * side))
    return sheet


def _checkpoint(course: Course, trainer: DreamBooth) -> pipe.Checkpointed:
    if course.unread:
        _read_losses(course, trainer.position, 0.0)
    path = course.order.folder / f"checkpoint-{trainer.position:06d}.safetensors"
    position = Position(training=course.digest, step=trainer.position, losses=tuple(course.losses))
    save_checkpoint(path, position, trainer.state())
    course.checkpoints.append(path)
    prune(course.order.folder, list(course.checkpoints)[-2:])  # the one before may be on its way to the blob store
    return pipe.Checkpointed(job=course.job, step=trainer.position, path=path, digest=file_digest(path))


def _publish(model: Resident, course: Course, trainer: DreamBooth) -> Reports:
    request, folder = course.order.request, course.order.folder
    yield _progress(course, Stage.SAVING, 0, 1)
    header = AdapterHeader(
        base_digest=model.base.digest,
        identifier=request.identifier,
        class_noun=request.class_noun,
        rank=course.recipe.rank,
        steps=trainer.position,
    )
    adapter = AdapterFile(header, trainer.trained())
    save_adapter(folder / "adapter.safetensors", adapter)
    save_kohya(
        folder / "download.safetensors", adapter, model.base, course.recipe, len(course.order.photos), request.seed
    )
    samples = yield from _final_samples(model, course, trainer)
    yield pipe.TrainingDone(
        job=course.job,
        adapter=folder / "adapter.safetensors",
        download=folder / "download.safetensors",
        steps=trainer.position,
        seconds=time.monotonic() - course.started,
        samples=samples,
    )


def _final_samples(
    model: Resident, course: Course, trainer: DreamBooth
) -> Generator[None, None, tuple[pipe.PictureFile, ...]]:
    pictures = yield from _draw_samples(model, course, trainer)
    files = []
    for place, picture in enumerate(pictures):
        path = course.order.folder / f"final-{place}.png"
        shown = for_display(model.base, picture, None, None)
        save_picture(shown, path)
        files.append(pipe.PictureFile(path=path, seed=SAMPLE_SEED + place, width=shown.width, height=shown.height))
    return tuple(files)


def _progress(course: Course, stage: Stage, step: int, steps: int) -> pipe.Progress:
    return pipe.Progress(job=course.job, stage=stage, step=step, steps=steps)


def _digest(model: Resident, order: pipe.Train, recipe: Recipe) -> str:
    request = order.request
    words = (request.identifier, request.class_noun, request.subject_kind, str(request.seed))
    return training_digest(model.base.digest, *map(file_digest, order.photos), *words, repr(astuple(recipe)))


class Pace:
    """A running mean of the time that one step takes, without what the engine does in between."""

    def __init__(self) -> None:
        self._began = 0.0
        self._mean: float | None = None

    def begin(self) -> None:
        self._began = time.monotonic()

    def end(self) -> None:
        took = time.monotonic() - self._began
        self._mean = took if self._mean is None else 0.9 * self._mean + 0.1 * took

    def seconds_for(self, steps: int) -> float:
        return (self._mean or 0.0) * steps
