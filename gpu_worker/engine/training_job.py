"""The course of one training job, from photos to a published model, as a generator of reports.

It yields a report for the worker, or None or a step that is `Due` wherever the engine may turn to something else.
Throwing `Stopping` into it makes it write a last checkpoint and end; closing it just ends it.
"""

import hashlib
import logging
import math
import time
from collections.abc import Generator, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from gpu_worker import pipe, prompts
from gpu_worker.engine.candidates import Tried, points_to_try, stopped_paying
from gpu_worker.engine.captions import photo_prompts
from gpu_worker.engine.checkpoints import training_digest
from gpu_worker.engine.choosing import (
    Look,
    score_candidate,
)
from gpu_worker.engine.class_check import doubted
from gpu_worker.engine.class_images import BATCH, choose_class_images, draw_class_images
from gpu_worker.engine.course import Course, go_back, save
from gpu_worker.engine.examples import Examples, Latents
from gpu_worker.engine.memory import OUT_OF_MEMORY, give_back, ran_out
from gpu_worker.engine.photos import emphasis_of, load_photos, to_image, to_pixels, views_of
from gpu_worker.engine.provenance import save_picture
from gpu_worker.engine.publishing import Publisher
from gpu_worker.engine.recipes import Recipe, choose_recipe
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, Sampler, draw
from gpu_worker.engine.training import FULL, SMALL, Diverged, DreamBooth
from gpu_worker.engine.training_side import fitted, training_side, training_sizes
from gpu_worker.engine.trials import CHOOSING, aim_of
from storage.contract import Box, FailureReason, Stage, TrainRequest
from storage.crops import Size, bucket_for
from storage.faults import reach

log = logging.getLogger(__name__)

Reports = Generator["pipe.Report | Due | None", None, None]

READ_EVERY = 5
"""Steps between two readings of the losses: each reading waits for the device."""
OTHERS = 32
"""Class images that are kept at hand, to hold the subject against."""
SHOWN = 4
"""Pictures on the sheet that the card shows."""


class Stopping(Exception):
    """The engine is asked to end: save what there is."""


@dataclass(eq=False)
class Due:
    """A step that a training stands before, and which it takes as soon as it goes on.

    Whoever runs several trainings may have the gradients of some made in one pass beforehand, and leaves the loss here.
    """

    trainer: DreamBooth
    loss: Tensor | None = None
    seconds: float = 0.0
    """What that pass took."""

    def take(self) -> Tensor:
        began = time.monotonic()
        if self.loss is None:
            self.loss = self.trainer.step()
        else:
            self.trainer.descend()
        self.seconds += time.monotonic() - began
        return self.loss


def train(model: Resident, order: pipe.Train, cache: Path) -> Reports:
    """Train one subject and write everything into the order's folder.

    Where the photos show another class than its owner says, nothing is trained and the last report tells so. Raises
    `Diverged` when it does so twice, `PhotoMissing`, and what `memory.ran_out` knows.
    """
    request, started = order.request, time.monotonic()
    seen, embedders = load_photos(order.photos), model.embedders
    if shown := doubted(embedders, request, seen):
        yield pipe.JobFailed(job=request.job, reason=FailureReason.CLASS_DOUBTFUL, seen_class=shown)
        return
    recipe = choose_recipe(model.base.family, request.subject_kind, request.quality, len(order.photos), request.options)
    yield pipe.Began(job=request.job, steps=recipe.steps)

    words = photo_prompts(embedders, request, seen, recipe.caption_share)
    course = Course(order, recipe, seen, _digest(model, request, recipe, seen, words), embedders)
    yield _progress(course, Stage.PREPARING, 0, 1)
    photos = yield from _photo_examples(model, course, words)
    class_images = yield from _class_examples(model, course, photos, cache)
    trainer = DreamBooth(
        model,
        recipe,
        photos,
        class_images,
        identifier=request.identifier,
        seed=request.seed,
    )
    try:
        go_back(course, trainer)
        yield from _train(model, course, trainer)
        yield _progress(course, Stage.SAVING, 0, 1)
        yield (yield from Publisher(model, course, trainer).publish(started))
    except Stopping:
        yield save(course, trainer)
    finally:
        trainer.close()


def _photo_examples(
    model: Resident, course: Course, words: Sequence[Sequence[str]]
) -> Generator[None, None, list[Examples]]:
    """Encode the photos, those of one size together; `words` are each photo's prompts."""
    seen, recipe = course.photos, course.recipe
    crops = course.request.crops or [None] * len(seen)
    sizes = training_sizes(model.base, course.request, aspects=recipe.aspects)
    chosen = [bucket_for(*photo.size, crop, sizes) for photo, crop in zip(seen, crops, strict=True)]
    examples = []
    for size in dict.fromkeys(chosen):
        of_size = [at for at, one in enumerate(chosen) if one == size]
        photos, subjects = [seen[at] for at in of_size], [crops[at] for at in of_size]
        views = [views_of(photo, size, subject) for photo, subject in zip(photos, subjects, strict=True)]
        emphasis = _emphasis(model, recipe, photos, subjects, size)
        latents = replace((yield from _encode(views, model)), emphasis=emphasis)
        examples.append(Examples(latents, [words[at] for at in of_size]))
    return examples


def _emphasis(
    model: Resident, recipe: Recipe, photos: Sequence[Image.Image], subjects: Sequence[Box | None], size: Size
) -> Tensor | None:
    """Return how much each place of the photos' latents counts, [N, K, 1, h, w]; None where all count alike."""
    if recipe.background_weight == 1 or not any(subjects):
        return None
    weight, grain = recipe.background_weight, model.base.pixels_per_latent
    of_latents = size[0] // grain, size[1] // grain
    of_photos = [emphasis_of(photo, of_latents, at, weight) for photo, at in zip(photos, subjects, strict=True)]
    return torch.stack(of_photos).to(model.base.device)


def _encode(views: Sequence[Tensor], model: Resident) -> Generator[None, None, Latents]:
    """Encode the views [K, 3, H, W] of N images."""
    encoded = []
    for of_one in views:
        encoded.append(_encode_views(of_one, model))
        yield
    return Latents(torch.stack([mean for mean, _ in encoded]), torch.stack([std for _, std in encoded]))


def _encode_views(views: Tensor, model: Resident) -> tuple[Tensor, Tensor]:
    """Encode views [K, 3, H, W] together or, where the memory does not hold that, one by one."""
    try:
        return model.base.encode_images(views)
    except OUT_OF_MEMORY as problem:
        if not ran_out(problem) or len(views) == 1:
            raise
    give_back()
    means, stds = zip(*(model.base.encode_images(view) for view in views.split(1)), strict=True)
    return torch.cat(means), torch.cat(stds)


def _class_examples(
    model: Resident, course: Course, photos: Sequence[Examples], cache: Path
) -> Generator[pipe.Report | None, None, list[Examples]]:
    request, recipe = course.request, course.recipe
    if not recipe.prior:
        return []
    wording = prompts.class_prompts(request.class_noun, request.subject_kind, request.options.class_prompt)
    if recipe.teacher:
        said = prompts.mixed(wording, recipe.scene_share)
        return [Examples(of_size.latents, [said] * len(of_size.prompts)) for of_size in photos]
    images = choose_class_images(model.base, wording, recipe.class_images, recipe.scene_share, cache)
    for start in range(0, len(images), BATCH):
        group = images[start : start + BATCH]
        if not all(image.path.is_file() for image in group):
            yield _progress(course, Stage.CLASS_IMAGES, start, len(images))
            yield from draw_class_images(model, group, course.recipe.sampler)
    pictures = load_photos([image.path for image in images])
    course.class_images = pictures[:OTHERS]
    side = training_side(model.base, request)
    latents = yield from _encode([to_pixels(fitted(picture, side)).unsqueeze(0) for picture in pictures], model)
    return [Examples(latents, [[image.prompt] for image in images])]


def _train(model: Resident, course: Course, trainer: DreamBooth) -> Reports:
    """Train to the end. To diverge, and to run out of memory, is forgiven once each: back to the last checkpoint then.

    After that the learning rate is half, or the plan is the small one.
    """
    while True:
        try:
            return (yield from _steps(model, course, trainer))
        except (Diverged, *OUT_OF_MEMORY) as problem:
            if isinstance(problem, Diverged) and trainer.rate == 1:
                trainer.rate = 0.5
            elif ran_out(problem) and trainer.plan == FULL:
                trainer.plan = SMALL
            else:
                raise
            log.warning("job %s goes back after step %d: %s", course.job, trainer.position, problem)
        give_back()
        go_back(course, trainer)


def _steps(model: Resident, course: Course, trainer: DreamBooth) -> Reports:
    steps, pace = course.recipe.steps, Pace()
    points = points_to_try(course.recipe, CHOOSING.pictures, CHOOSING.sampler(course.recipe))
    while True:
        done = trainer.position
        if done in points - {candidate.step for candidate in course.tried}:
            course.read_losses(trainer)
            yield (yield from _try_out(model, course, trainer))
        if done == steps or stopped_paying(course.tried):
            return
        if course.save_is_due:
            yield save(course, trainer)
        due = Due(trainer)
        yield due
        course.unread.append(due.take())
        pace.note(due.seconds)
        reach("training.stepped")
        if not trainer.position % READ_EVERY or trainer.position == steps:
            yield _tell_step(course, trainer, pace)


def _tell_step(course: Course, trainer: DreamBooth, pace: "Pace") -> pipe.Progress:
    step, steps = trainer.position, course.recipe.steps
    course.read_losses(trainer)
    recent = course.losses[-READ_EVERY:]
    return pipe.Progress(
        job=course.job,
        stage=Stage.TRAINING,
        step=step,
        steps=steps,
        loss=sum(recent) / len(recent),
        seconds_left=pace.seconds_for(steps - step),
    )


def _try_out(model: Resident, course: Course, trainer: DreamBooth) -> Generator[None, None, pipe.Sampled]:
    """Draw with the slot in training, show some of it, and remember this point if it is the best so far."""
    step, score = trainer.position, None
    orders = CHOOSING.orders(course.request, trainer.slot)
    if course.embedders is None:
        pictures = yield from _preview(model, course, trainer, orders[:SHOWN])
    else:
        pictures = yield from _draw(model, trainer, orders, CHOOSING.sampler(course.recipe))
        look = yield from _look(model, course, trainer, orders, pictures)
        parts = score_candidate(course.embedders.choosing, course.request, look, course.photos)
        log.info("job %s at step %d: %s", course.job, step, parts)
        if parts is not None:
            score = parts.total
            course.consider(parts, trainer)
    course.tried.append(Tried(step, score, trainer.held_out_loss()))
    path = course.order.folder / f"sample-{step:06d}.png"
    save_picture(contact_sheet(pictures[:SHOWN]), path)
    return pipe.Sampled(job=course.job, step=step, path=path)


def _look(
    model: Resident,
    course: Course,
    trainer: DreamBooth,
    orders: Sequence[PictureOrder],
    pictures: Sequence[Image.Image],
) -> Generator[None, None, Look]:
    """Draw other members of the class beside the subject's pictures; those of the base need to be drawn only once."""
    sampler = CHOOSING.sampler(course.recipe)
    of_class: list[Image.Image] = []
    if aim_of(course.request).has_class:
        of_class = yield from _draw(model, trainer, CHOOSING.class_orders(course.request, trainer.slot), sampler)
    if not course.class_by_base:
        course.class_by_base = yield from _draw(model, trainer, CHOOSING.class_orders(course.request, 0), sampler)
    return Look(orders, pictures, of_class, course.class_by_base, course.others)


def _draw(
    model: Resident, trainer: DreamBooth, orders: Sequence[PictureOrder], sampler: Sampler
) -> Generator[None, None, list[Image.Image]]:
    pixels = yield from draw(model, orders, sampler, bank=trainer.bank)
    return [to_image(picture) for picture in pixels]


def _preview(
    model: Resident, course: Course, trainer: DreamBooth, orders: Sequence[PictureOrder]
) -> Generator[None, None, list[Image.Image]]:
    """Draw what is only looked at, as fast as the base's copies and decoders allow."""
    sampler = CHOOSING.sampler(course.recipe) if model.fast is None else model.fast.sampler
    pixels = yield from draw(model, orders, sampler, bank=trainer.bank, preview=True)
    return [to_image(picture) for picture in pixels]


def contact_sheet(pictures: Sequence[Image.Image], side: int = 256) -> Image.Image:
    """Put pictures on one sheet, two in a row, each `side` pixels wide."""
    sheet = Image.new("RGB", (2 * side, math.ceil(len(pictures) / 2) * side))
    for place, picture in enumerate(pictures):
        sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (place % 2 * side, place // 2 * side))
    return sheet


def _progress(course: Course, stage: Stage, step: int, steps: int) -> pipe.Progress:
    return pipe.Progress(job=course.job, stage=stage, step=step, steps=steps)


def _digest(
    model: Resident,
    request: TrainRequest,
    recipe: Recipe,
    photos: Sequence[Image.Image],
    called: Sequence[Sequence[str]],
) -> str:
    pixels = [hashlib.sha256(photo.tobytes()).hexdigest() for photo in photos]
    words = (request.identifier, request.class_noun, request.subject_kind, str(request.seed))
    by_hand = request.options.model_dump_json()
    return training_digest(model.base.digest, *pixels, *words, by_hand, repr(astuple(recipe)), repr(called))


class Pace:
    """A running mean of the time that one step takes, without what the engine does in between."""

    def __init__(self) -> None:
        self._mean: float | None = None

    def note(self, took: float) -> None:
        self._mean = took if self._mean is None else 0.9 * self._mean + 0.1 * took

    def seconds_for(self, steps: int) -> float:
        return (self._mean or 0.0) * steps
