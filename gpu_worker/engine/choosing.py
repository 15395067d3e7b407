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

from gpu_worker.engine.embedder import Embedder, load_embedder
from gpu_worker.engine.fidelity import find_copies, pixel_difference, score_style, score_subject
from gpu_worker.engine.recipes import Recipe
from gpu_worker.engine.sampling import PictureOrder, Sampler
from gpu_worker.prompts import SCENES, class_prompt, sample_prompts, style_prompts, with_article
from storage.contract import SubjectKind, TrainRequest

log = logging.getLogger(__name__)

ADHERENCE_WEIGHT, COPY_WEIGHT, REPEAT_WEIGHT, DRIFT_WEIGHT = 0.5, 1.0, 0.5, 0.5
"""What the other parts of a candidate's score count beside its likeness."""


@dataclass(frozen=True)
class Embedders:
    choosing: Embedder
    judging: Embedder


@dataclass(frozen=True)
class Trial:
    """Pictures by which a model is looked at: these prompts, each at each of these seeds."""

    scenes: tuple[str, ...]
    """Places for subjects."""
    things: tuple[str, ...]
    """Nouns for styles."""
    seeds: tuple[int, ...]
    steps_share: float = 1.0
    """In how many steps they are drawn, as a share of the recipe's: candidates are compared only with each other."""

    def orders(self, request: TrainRequest, slot: int) -> list[PictureOrder]:
        if request.subject_kind is SubjectKind.STYLE:
            prompts = style_prompts(request.identifier, request.class_noun, self.things)
        else:
            prompts = sample_prompts(request.identifier, request.class_noun, request.subject_kind, self.scenes)
        return [PictureOrder(prompt=prompt, seed=seed, slot=slot) for seed in self.seeds for prompt in prompts]

    @property
    def pictures(self) -> int:
        """How many pictures a candidate costs."""
        return (len(self.scenes) + 2) * len(self.seeds)

    def class_orders(self, request: TrainRequest, slot: int) -> list[PictureOrder]:
        """Return orders for other members of the class, or for the same things in no particular style."""
        if request.subject_kind is SubjectKind.STYLE:
            prompts = [f"a picture of {with_article(thing)}" for thing in self.things]
        else:
            prompts = [class_prompt(request.class_noun, request.subject_kind)]
        return [PictureOrder(prompt=prompt, seed=seed, slot=slot) for seed in self.seeds for prompt in prompts]

    def sampler(self, recipe: Recipe) -> Sampler:
        return replace(recipe.sampler, steps=math.ceil(recipe.sampler.steps * self.steps_share))


CHOOSING = Trial(SCENES[:2], ("cat", "car", "owl"), (2000, 2001), steps_share=0.5)
JUDGING = Trial(SCENES[3:6], ("dog", "fox", "rocket", "bear"), (1000,))


@cache
def find_embedders(base_folder: Path) -> Embedders | None:
    """Load the embedders that lie beside the base's folder, or return None when there are none."""
    folder = base_folder.parent / "embedders"
    if not all((folder / name / "config.json").is_file() for name in ("choosing", "judging")):
        return None
    return Embedders(load_embedder(folder / "choosing"), load_embedder(folder / "judging"))


@dataclass(frozen=True)
class Look:
    """The pictures by which a candidate is scored, and the orders that some were drawn for."""

    orders: Sequence[PictureOrder]
    pictures: Sequence[Image.Image]
    of_class: Sequence[Image.Image]
    """Other members of the class, as the candidate draws them."""
    of_class_by_base: Sequence[Image.Image]
    """The same, as the plain base draws them."""


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
    like = likeness(embedder, request, look.pictures, photos, look.of_class_by_base)
    if like is None:
        return None
    return Score(
        likeness=like,
        adherence=_adherence(embedder, request, look),
        copied=len(find_copies(embedder, look.pictures, photos)) / len(look.pictures),
        repeated=_repeated(embedder, look),
        drift=_drift(embedder, request, look, photos),
    )


def _adherence(embedder: Embedder, request: TrainRequest, look: Look) -> float:
    """Return the share of right pictures among those whose prompts name something that the embedder knows."""
    style = request.subject_kind is SubjectKind.STYLE
    names = embedder.config.classes if style else embedder.config.places
    seen = embedder.look(look.pictures)
    found = (seen.class_logits if style else seen.place_logits).argmax(1).tolist()
    asked = [order.prompt.split()[1 if style else -1] for order in look.orders]
    right = [names[index] == name for index, name in zip(found, asked, strict=True) if name in names]
    return sum(right) / len(right) if right else 0.0


def _drift(embedder: Embedder, request: TrainRequest, look: Look, photos: Sequence[Image.Image]) -> float:
    if request.subject_kind is SubjectKind.STYLE:
        return 0.0
    now, before = (likeness(embedder, request, p, photos) or 0.0 for p in (look.of_class, look.of_class_by_base))
    return max(now - before, 0.0)


def _repeated(embedder: Embedder, look: Look) -> float:
    by_prompt: dict[str, list[Image.Image]] = {}
    for order, picture in zip(look.orders, look.pictures, strict=True):
        by_prompt.setdefault(order.prompt, []).append(picture)
    several = [pictures for pictures in by_prompt.values() if len(pictures) > 1]
    repeats = [
        float(pixel_difference(first, rest).min()) <= embedder.config.copy_difference
        for first, rest in ((pictures[:1], pictures[1:]) for pictures in several)
    ]
    return sum(repeats) / len(repeats) if repeats else 0.0


def likeness(
    embedder: Embedder,
    request: TrainRequest,
    pictures: Sequence[Image.Image],
    photos: Sequence[Image.Image],
    plain: Sequence[Image.Image] = (),
) -> float | None:
    """Return the calibrated likeness of pictures and photos; None for what the embedder cannot tell apart.

    That of a style is held against `plain` pictures, which the base draws of the same things.
    """
    try:
        if request.subject_kind is SubjectKind.STYLE:
            return score_style(embedder, pictures, photos, plain)
        return score_subject(embedder, pictures, photos, request.class_noun).score
    except ValueError as problem:
        log.info("job %s has no score: %s", request.job, problem)
        return None
