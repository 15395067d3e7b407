"""The course of one training job, from photos to a published model, as a generator of reports.

It yields a report for the worker, or None, wherever the engine may turn to something else. Throwing `Stopping` into it
makes it write a last checkpoint and end; closing it just ends it.
"""

import hashlib
import logging
import math
import time
from collections.abc import Generator, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from gpu_worker import pipe, prompts
from gpu_worker.engine.adapters import AdapterFile, AdapterHeader, file_digest, save_adapter
from gpu_worker.engine.checkpoints import (
    CheckpointRefused,
    Position,
    best_of,
    load_checkpoint,
    prune,
    save_checkpoint,
    training_digest,
)
from gpu_worker.engine.choosing import (
    CHOOSING,
    JUDGING,
    Candidate,
    Embedders,
    find_embedders,
    score_candidate,
    subject_score,
)
from gpu_worker.engine.class_images import BATCH, class_image_paths, draw_class_images
from gpu_worker.engine.export import save_kohya
from gpu_worker.engine.photos import load_photos, to_image, to_pixels, views_of
from gpu_worker.engine.provenance import save_picture
from gpu_worker.engine.recipes import Recipe, choose_recipe
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, draw, for_display
from gpu_worker.engine.training import SLOT, Diverged, DreamBooth, Latents
from storage.contract import Stage, TrainRequest
from storage.faults import reach

log = logging.getLogger(__name__)

Reports = Generator[pipe.Report | None, None, None]

READ_EVERY = 5
"""Steps between two readings of the losses: each reading waits for the device."""
CHECKPOINT_SECONDS = 20.0
SHOWN = 4
"""Pictures on the sheet that the card shows."""


class Stopping(Exception):
    """The engine is asked to end: save what there is."""


@dataclass
class Course:
    """What a training job carries from stage to stage."""

    order: pipe.Train
    recipe: Recipe
    photos: list[Image.Image]
    digest: str
    """Of everything that decides the result: a checkpoint of another training does not fit."""
    embedders: Embedders | None
    losses: list[float] = field(default_factory=list)
    unread: list[Tensor] = field(default_factory=list)
    best: Candidate | None = None
    checkpoints: list[Path] = field(default_factory=list)

    @property
    def request(self) -> TrainRequest:
        return self.order.request

    @property
    def job(self) -> str:
        return self.order.request.job


def train(model: Resident, order: pipe.Train, cache: Path) -> Reports:
    """Train one subject and write everything into the order's folder.

    Raises `Diverged`, `PhotoMissing`, torch.OutOfMemoryError.
    """
    request, started = order.request, time.monotonic()
    recipe = choose_recipe(model.base.family, request.subject_kind, request.quality, len(order.photos), request.options)
    yield pipe.Began(job=request.job, steps=recipe.steps)

    seen = load_photos(order.photos)
    course = Course(order, recipe, seen, _digest(model, request, recipe, seen), find_embedders(model.base.folder))
    yield _progress(course, Stage.PREPARING, 0, 1)
    photos = yield from _encode([views_of(photo, model.base.resolution) for photo in seen], model)
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
    yield from _publish(model, course, trainer, started)


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
    request = course.request
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
    course.best = best_of(position, tensors)
    log.info("job %s goes on from step %d", course.job, position.step)


def _train(model: Resident, course: Course, trainer: DreamBooth) -> Reports:
    steps, pace, saved_at = course.recipe.steps, Pace(), time.monotonic()
    points = points_to_try(steps, course.recipe.candidates)
    while trainer.position < steps:
        pace.begin()
        course.unread.append(trainer.step())
        pace.end()
        reach("training.stepped")
        done = trainer.position
        if done % READ_EVERY == 0 or done == steps:
            yield _read_losses(course, done, pace.seconds_for(steps - done))
        if done in points:
            yield (yield from _try_out(model, course, trainer))
        if done < steps and time.monotonic() - saved_at > CHECKPOINT_SECONDS:
            yield _checkpoint(course, trainer)
            saved_at = time.monotonic()
        yield None


def points_to_try(steps: int, count: int) -> set[int]:
    """Spread `count` candidates over the later part of the training; the last step is always one of them."""
    return {round(steps * (point + 1) / (count + 1)) for point in range(1, count + 1)}


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


def _try_out(model: Resident, course: Course, trainer: DreamBooth) -> Generator[None, None, pipe.Sampled]:
    """Draw with the slot in training, show some of it, and remember this point if it is the best so far."""
    step = trainer.position
    orders = CHOOSING.orders(course.request, SLOT)
    if course.embedders is None:
        orders = orders[:SHOWN]
    pictures = yield from _draw(model, course, trainer, orders)
    if course.embedders is not None:
        score = score_candidate(course.embedders.choosing, course.request, orders, pictures, course.photos)
        log.info("job %s scores %s at step %d", course.job, score, step)
        if score is not None and (course.best is None or score >= course.best.score):
            course.best = Candidate(step, score, trainer.trained())
    path = course.order.folder / f"sample-{step:06d}.png"
    save_picture(contact_sheet(pictures[:SHOWN]), path)
    return pipe.Sampled(job=course.job, step=step, path=path)


def _draw(
    model: Resident, course: Course, trainer: DreamBooth, orders: Sequence[PictureOrder]
) -> Generator[None, None, list[Image.Image]]:
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
    save_checkpoint(path, position, trainer.state(), course.best)
    course.checkpoints = [*course.checkpoints, path][-2:]  # the one before may be on its way to the blob store
    prune(course.order.folder, course.checkpoints)
    return pipe.Checkpointed(job=course.job, step=trainer.position, path=path, digest=file_digest(path))


def _publish(model: Resident, course: Course, trainer: DreamBooth, started: float) -> Reports:
    request, folder = course.request, course.order.folder
    yield _progress(course, Stage.SAVING, 0, 1)
    chosen = course.best or Candidate(trainer.position, 0.0, trainer.trained())
    trainer.bank.load(SLOT, chosen.weights)
    header = AdapterHeader(
        base_digest=model.base.digest,
        identifier=request.identifier,
        class_noun=request.class_noun,
        rank=course.recipe.rank,
        steps=chosen.step,
    )
    adapter = AdapterFile(header, chosen.weights)
    save_adapter(folder / "adapter.safetensors", adapter)
    save_kohya(folder / "download.safetensors", adapter, model.base, course.recipe, len(course.photos), request.seed)

    orders = JUDGING.orders(request, SLOT)
    pictures = yield from _draw(model, course, trainer, orders)
    judge = course.embedders.judging if course.embedders else None
    yield pipe.TrainingDone(
        job=course.job,
        adapter=folder / "adapter.safetensors",
        download=folder / "download.safetensors",
        steps=trainer.position,
        seconds=time.monotonic() - started,
        subject_score=subject_score(judge, request, pictures, course.photos) if judge else None,
        samples=tuple(
            _keep(model, folder / f"final-{place}.png", order.seed, picture)
            for place, (order, picture) in enumerate(zip(orders, pictures, strict=True))
        ),
    )


def _keep(model: Resident, path: Path, seed: int, picture: Image.Image) -> pipe.PictureFile:
    shown = for_display(model.base, picture, None, None)
    save_picture(shown, path)
    return pipe.PictureFile(path=path, seed=seed, width=shown.width, height=shown.height)


def _progress(course: Course, stage: Stage, step: int, steps: int) -> pipe.Progress:
    return pipe.Progress(job=course.job, stage=stage, step=step, steps=steps)


def _digest(model: Resident, request: TrainRequest, recipe: Recipe, photos: Sequence[Image.Image]) -> str:
    pixels = [hashlib.sha256(photo.tobytes()).hexdigest() for photo in photos]
    words = (request.identifier, request.class_noun, request.subject_kind, str(request.seed))
    return training_digest(model.base.digest, *pixels, *words, repr(astuple(recipe)))


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
