"""Choosing the best of several points of a training, and saying how good the chosen one is.

What chooses never judges: candidates are compared by one embedder on some prompts and seeds, and the score that people
see comes from another embedder, on other prompts and seeds. Both belong to the base and lie beside its folder; a base
without any publishes the last point of its trainings and reports no score.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from PIL import Image
from torch import Tensor

from gpu_worker.engine.embedder import Embedder, load_embedder
from gpu_worker.engine.fidelity import find_copies, score_places, score_subject
from gpu_worker.engine.recipes import Recipe
from gpu_worker.engine.sampling import PictureOrder, Sampler
from gpu_worker.prompts import SCENES, sample_prompts
from storage.contract import SubjectKind, TrainRequest

log = logging.getLogger(__name__)

PLACE_WEIGHT = 0.5
"""What the share of pictures in the right place counts beside the subject score."""


@dataclass(frozen=True)
class Embedders:
    choosing: Embedder
    judging: Embedder


@dataclass(frozen=True)
class Candidate:
    """A point of the training that could be published."""

    step: int
    score: float
    weights: dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Trial:
    """Pictures by which a model is looked at: these prompts, each at each of these seeds."""

    scenes: tuple[str, ...]
    seeds: tuple[int, ...]
    steps_share: float = 1.0
    """In how many steps they are drawn, as a share of the recipe's: candidates are compared only with each other."""

    def orders(self, request: TrainRequest, slot: int) -> list[PictureOrder]:
        prompts = sample_prompts(request.identifier, request.class_noun, request.subject_kind, self.scenes)
        return [PictureOrder(prompt=prompt, seed=seed, slot=slot) for seed in self.seeds for prompt in prompts]

    def sampler(self, recipe: Recipe) -> Sampler:
        return replace(recipe.sampler, steps=math.ceil(recipe.sampler.steps * self.steps_share))


CHOOSING = Trial(SCENES[:3], (2000, 2001), steps_share=0.5)
JUDGING = Trial(SCENES[3:6], (1000,))


@cache
def find_embedders(base_folder: Path) -> Embedders | None:
    """Load the embedders that lie beside the base's folder, or return None when there are none."""
    folder = base_folder.parent / "embedders"
    if not all((folder / name / "config.json").is_file() for name in ("choosing", "judging")):
        return None
    return Embedders(load_embedder(folder / "choosing"), load_embedder(folder / "judging"))


def score_candidate(
    embedder: Embedder,
    request: TrainRequest,
    orders: Sequence[PictureOrder],
    pictures: Sequence[Image.Image],
    photos: Sequence[Image.Image],
) -> float | None:
    """Return how good a candidate is: likeness and right places, less copies of a photo; None if it cannot be said."""
    likeness = subject_score(embedder, request, pictures, photos)
    if likeness is None:
        return None
    places = [_place(embedder, order) for order in orders]
    placed = [(picture, place) for picture, place in zip(pictures, places, strict=True) if place]
    right = (
        score_places(embedder, [picture for picture, _ in placed], [place for _, place in placed]) if placed else 0.0
    )
    copied = len(find_copies(embedder, pictures, photos)) / len(pictures)
    return min(likeness, 1.0) + PLACE_WEIGHT * right - copied


def subject_score(
    embedder: Embedder, request: TrainRequest, pictures: Sequence[Image.Image], photos: Sequence[Image.Image]
) -> float | None:
    """Return the calibrated likeness of pictures and photos; None for styles, or what it cannot tell apart."""
    if request.subject_kind is SubjectKind.STYLE:
        return None
    try:
        return score_subject(embedder, pictures, photos, request.class_noun).score
    except ValueError as problem:
        log.info("job %s has no score: %s", request.job, problem)
        return None


def _place(embedder: Embedder, order: PictureOrder) -> str | None:
    """Return the place that a prompt ends in, if the embedder knows it."""
    last = order.prompt.split()[-1]
    return last if last in embedder.config.places else None
