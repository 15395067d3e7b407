"""Choosing the best of several points of a training, and saying how good the chosen one is.

What chooses never judges: candidates are compared by one embedder on some prompts and seeds, and the score that people
see comes from another embedder, on other prompts and seeds. Both belong to the base and lie beside its folder; a base
without any publishes the last point of its trainings and reports no score.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from gpu_worker.engine.embedder import Embedder
from gpu_worker.engine.fidelity import find_copies, pixel_difference
from gpu_worker.engine.sampling import PictureOrder
from gpu_worker.engine.trials import Aim, aim_of
from storage.contract import TrainRequest

log = logging.getLogger(__name__)

ADHERENCE_WEIGHT, COPY_WEIGHT, REPEAT_WEIGHT, DRIFT_WEIGHT = 0.5, 1.0, 0.5, 0.5
"""What the other parts of a candidate's score count beside its likeness."""


@dataclass(frozen=True)
class Look:
    """The pictures by which a candidate is scored, and the orders that some were drawn for."""

    orders: Sequence[PictureOrder]
    pictures: Sequence[Image.Image]
    of_class: Sequence[Image.Image]
    """Other members of the class, as the candidate draws them."""
    of_class_by_base: Sequence[Image.Image]
    """The same, as the plain base draws them."""
    others: Sequence[Image.Image] = ()
    """Members of the class to hold the subject against, for embedders that know none."""


@dataclass(frozen=True)
class Score:
    """What an embedder thinks of a candidate; all parts are shares in 0..1, or on the scale of the subject score."""

    likeness: float
    adherence: float
    """Pictures that show the place, or for styles the thing, that their prompt names."""
    copied: float
    """Pictures that copy a photo."""
    repeated: float
    """Prompts for which another seed draws the same picture."""
    drift: float
    """How much more than the base's other members of the class have come to look like the subject."""

    @property
    def freedom(self) -> float:
        """How well it still draws what a prompt asks for."""
        return (
            ADHERENCE_WEIGHT * self.adherence
            - COPY_WEIGHT * self.copied
            - REPEAT_WEIGHT * self.repeated
            - DRIFT_WEIGHT * self.drift
        )

    @property
    def total(self) -> float:
        return min(self.likeness, 1.0) + self.freedom


def score_candidate(
    embedder: Embedder, request: TrainRequest, look: Look, photos: Sequence[Image.Image]
) -> Score | None:
    """Return how good a candidate is; None where the embedder cannot tell the subject, or the style."""
    aim = aim_of(request)
    like = likeness(embedder, aim, look.pictures, photos, look.others or look.of_class_by_base)
    if like is None:
        return None
    return Score(
        likeness=like,
        adherence=_adherence(embedder, aim, look),
        copied=len(find_copies(embedder, look.pictures, photos)) / len(look.pictures),
        repeated=_repeated(embedder, look),
        drift=_drift(embedder, aim, look, photos),
    )


def _adherence(embedder: Embedder, aim: Aim, look: Look) -> float:
    """Return the share of right pictures among those whose prompts name something that the embedder knows."""
    known, shown = aim.shown(embedder, look.pictures)
    named = [aim.named(order.prompt) for order in look.orders]
    right = [found == name for found, name in zip(shown, named, strict=True) if name in known]
    return sum(right) / len(right) if right else 0.0


def _drift(embedder: Embedder, aim: Aim, look: Look, photos: Sequence[Image.Image]) -> float:
    if not aim.has_class:
        return 0.0
    others = look.others or look.of_class_by_base
    now, before = (likeness(embedder, aim, p, photos, others) or 0.0 for p in (look.of_class, look.of_class_by_base))
    return max(now - before, 0.0)


def _repeated(embedder: Embedder, look: Look) -> float:
    by_prompt: dict[str, list[Image.Image]] = {}
    for order, picture in zip(look.orders, look.pictures, strict=True):
        by_prompt.setdefault(order.prompt, []).append(picture)
    several = [pictures for pictures in by_prompt.values() if len(pictures) > 1]
    repeats = [
        float(pixel_difference(first, rest).min()) <= embedder.knows.copy_difference
        for first, rest in ((pictures[:1], pictures[1:]) for pictures in several)
    ]
    return sum(repeats) / len(repeats) if repeats else 0.0


def likeness(
    embedder: Embedder,
    aim: Aim,
    pictures: Sequence[Image.Image],
    photos: Sequence[Image.Image],
    plain: Sequence[Image.Image] = (),
) -> float | None:
    """Return the calibrated likeness of pictures and photos; None for what the embedder cannot tell apart."""
    try:
        return aim.likeness(embedder, pictures, photos, plain)
    except ValueError as problem:
        log.info("job %s has no score: %s", aim.request.job, problem)
        return None
