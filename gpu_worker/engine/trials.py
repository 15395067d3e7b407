"""Pictures by which a model is looked at: what they are asked for, and what one looks for in them.

Choosing and judging are trials of different prompts and seeds. What a trial asks for depends on what is learned: a
subject is asked for in places and should leave its class as it was; a style is asked for of things, and has no class.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image

from gpu_worker.engine.embedder import Embedder
from gpu_worker.engine.fidelity import score_style, score_subject
from gpu_worker.engine.recipes import Recipe
from gpu_worker.engine.sampling import PictureOrder, Sampler
from gpu_worker.prompts import SCENES, class_prompt, sample_prompts, style_prompts, with_article
from storage.contract import SubjectKind, TrainRequest

Pictures = Sequence[Image.Image]


@dataclass(frozen=True)
class Trial:
    """These prompts, each at each of these seeds."""

    scenes: tuple[str, ...]
    """Places for subjects."""
    things: tuple[str, ...]
    """Nouns for styles."""
    seeds: tuple[int, ...]
    steps_share: float = 1.0
    """In how many steps they are drawn, as a share of the recipe's: candidates are compared only with each other."""

    def orders(self, request: TrainRequest, slot: int) -> list[PictureOrder]:
        return self._orders(aim_of(request).prompts(self), slot)

    def class_orders(self, request: TrainRequest, slot: int) -> list[PictureOrder]:
        """Return orders for what `Aim.class_prompts` names."""
        return self._orders(aim_of(request).class_prompts(self), slot)

    @property
    def pictures(self) -> int:
        """How many pictures a candidate costs."""
        return (len(self.scenes) + 2) * len(self.seeds)

    def sampler(self, recipe: Recipe) -> Sampler:
        return replace(recipe.sampler, steps=math.ceil(recipe.sampler.steps * self.steps_share))

    def _orders(self, prompts: Sequence[str], slot: int) -> list[PictureOrder]:
        return [PictureOrder(prompt=prompt, seed=seed, slot=slot) for seed in self.seeds for prompt in prompts]


CHOOSING = Trial(SCENES[:2], ("cat", "car", "owl"), (2000, 2001), steps_share=0.5)
JUDGING = Trial(SCENES[3:6], ("dog", "fox", "rocket", "bear"), (1000,))


@dataclass(frozen=True)
class Aim(ABC):
    """What a training is to learn."""

    request: TrainRequest

    @property
    @abstractmethod
    def has_class(self) -> bool:
        """Whether there are others like it, which should stay what they were."""

    @abstractmethod
    def prompts(self, trial: Trial) -> list[str]: ...

    @abstractmethod
    def class_prompts(self, trial: Trial) -> list[str]:
        """Return prompts for other members of the class, or for the same things in no particular style."""

    @abstractmethod
    def named(self, prompt: str) -> str:
        """Return what the prompt asks to be seen, in a word."""

    @abstractmethod
    def shown(self, embedder: Embedder, pictures: Pictures) -> tuple[Sequence[str], list[str]]:
        """Return the words that the embedder knows for what prompts name, and which of them each picture shows."""

    @abstractmethod
    def likeness(self, embedder: Embedder, pictures: Pictures, photos: Pictures, plain: Pictures) -> float:
        """Return the calibrated likeness; `plain` pictures are the base's. Raises ValueError where none can be told."""


class Subject(Aim):
    has_class = True

    def prompts(self, trial: Trial) -> list[str]:
        request = self.request
        return sample_prompts(request.identifier, request.class_noun, request.subject_kind, trial.scenes)

    def class_prompts(self, trial: Trial) -> list[str]:  # noqa: ARG002
        return [class_prompt(self.request.class_noun, self.request.subject_kind)]

    def named(self, prompt: str) -> str:
        return prompt.split()[-1]

    def shown(self, embedder: Embedder, pictures: Pictures) -> tuple[Sequence[str], list[str]]:
        places = embedder.knows.places
        return places, [places[at] for at in embedder.look(pictures).place_logits.argmax(1).tolist()]

    def likeness(self, embedder: Embedder, pictures: Pictures, photos: Pictures, plain: Pictures) -> float:
        return score_subject(embedder, pictures, photos, self.request.class_noun, plain).score


class Style(Aim):
    has_class = False

    def prompts(self, trial: Trial) -> list[str]:
        return style_prompts(self.request.identifier, self.request.class_noun, trial.things)

    def class_prompts(self, trial: Trial) -> list[str]:
        return [f"a picture of {with_article(thing)}" for thing in trial.things]

    def named(self, prompt: str) -> str:
        return prompt.split()[1]

    def shown(self, embedder: Embedder, pictures: Pictures) -> tuple[Sequence[str], list[str]]:
        classes = embedder.knows.classes
        return classes, [classes[at] for at in embedder.look(pictures).class_logits.argmax(1).tolist()]

    def likeness(self, embedder: Embedder, pictures: Pictures, photos: Pictures, plain: Pictures) -> float:
        """It is held against `plain` pictures, which the base draws of the same things."""
        return score_style(embedder, pictures, photos, plain)


def aim_of(request: TrainRequest) -> Aim:
    return Style(request) if request.subject_kind is SubjectKind.STYLE else Subject(request)
