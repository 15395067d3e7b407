"""What `fidelity` compares: our training job, the example's loop, and one eye on what either of them draws."""

import random
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import torch
from PIL import Image
from torch import Tensor

from benchmarks.main_job import IDENTIFIER, Subject, finish
from benchmarks.peer_dreambooth import Peer, PeerRecipe, Pictures
from gpu_worker import pipe
from gpu_worker.engine import training, training_job
from gpu_worker.engine.adapters import load_adapter
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.class_images import BATCH, choose_class_images, draw_class_images
from gpu_worker.engine.embedder import Embedder
from gpu_worker.engine.fidelity import find_copies, pixel_difference, score_places, score_subject
from gpu_worker.engine.photos import to_image
from gpu_worker.engine.recipes import Recipe, choose_recipe, default_sampler
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, draw
from gpu_worker.engine.slots import Bank
from gpu_worker.prompts import class_prompt, class_prompts, instance_prompts, subject_words
from storage.contract import Quality, SubjectKind, TrainRequest

Weights = Mapping[str, tuple[Tensor, Tensor]]

KIND = SubjectKind.PET
"""The demo base's recipe is one for all kinds but style."""
PLACES = {
    "sea": "under water",
    "meadow": "on the grass",
    "space": "in outer space",
    "city": "in the street",
    "forest": "in the woods",
    "desert": "in a desert",
    "room": "at home",
    "beach": "on the beach",
}
"""How pictures are asked for: the base knows these words, and no training, choosing or tuning of ours says them."""
TAKES = 2
"""Pictures for each place."""
REPORTED, FRESH, TUNED_ON, OF_CLASS = 70_000, 80_000, 90_000, 95_000
"""The first seeds of the pictures that are reported, judge candidates anew, tune the peer, and show the class."""
PLACE_WEIGHT, DRIFT_WEIGHT = 0.5, 0.5
"""What right places and the class's drift count beside the subject score, as they do where candidates are chosen."""
CLASS_PICTURES = 8
PEER_CLASS_IMAGES = 32
"""As many as ours, so that both look at the same number of pictures."""


@dataclass(frozen=True)
class Verdict:
    subject_score: float
    prompt_score: float
    class_drift: float
    """How much more than the plain base's "a photo of a <class>" looks like the subject: its subject score, less."""
    diversity: float
    """The mean difference between two pictures of one prompt, of 0..1."""
    copies: int


@dataclass(frozen=True)
class Training:
    """What a side hands in."""

    weights: Weights
    steps: int
    views: int
    seconds: float
    """Without the class images, which any later training of the class shares."""
    candidates: dict[int, Weights] = field(default_factory=dict)
    chosen: int | None = None


class Gallery:
    """Draws with an adapter and judges the pictures, the same way for everyone."""

    def __init__(self, model: Resident, rank: int = 16) -> None:
        self.model = model
        self.bank = Bank(model.slots, size=2, rank=rank, device=model.base.device, dtype=torch.float32)
        self.base_leaks: dict[str, float] = {}

    def draw(self, weights: Weights, prompts: Sequence[str], first_seed: int) -> list[Image.Image]:
        """Draw each prompt with a seed of its own; without weights it is the plain base that draws."""
        self.bank.load(1, weights)
        slot = 1 if weights else 0
        orders = [PictureOrder(prompt=prompt, seed=first_seed + n, slot=slot) for n, prompt in enumerate(prompts)]
        pixels = finish(draw(self.model, orders, default_sampler(self.model.base.family), bank=self.bank))
        return [to_image(picture) for picture in pixels]

    def draw_in_places(self, subject: Subject, weights: Weights, first_seed: int) -> list[Image.Image]:
        words = subject_words(IDENTIFIER, subject.class_noun)
        return self.draw(weights, [f"{words} {phrase}" for phrase in PLACES.values() for _ in range(TAKES)], first_seed)

    def judge(self, judge: Embedder, subject: Subject, weights: Weights) -> tuple[Verdict, list[Image.Image]]:
        pictures = self.draw_in_places(subject, weights, REPORTED)
        verdict = Verdict(
            subject_score=score_subject(judge, pictures, subject.held_out, subject.class_noun).score,
            prompt_score=score_places(judge, pictures, in_places()),
            class_drift=self.drift(judge, subject, weights),
            diversity=diversity(pictures),
            copies=len(find_copies(judge, pictures, subject.photos)),
        )
        return verdict, pictures

    def score(self, embedder: Embedder, subject: Subject, weights: Weights, first_seed: int) -> float:
        """Return one figure to compare models by: likeness and right places, less copies of a photo."""
        pictures = self.draw_in_places(subject, weights, first_seed)
        likeness = score_subject(embedder, pictures, subject.photos, subject.class_noun).score
        right = score_places(embedder, pictures, in_places())
        copied = len(find_copies(embedder, pictures, subject.photos)) / len(pictures)
        return min(likeness, 1.0) + PLACE_WEIGHT * right - copied

    def drift(self, judge: Embedder, subject: Subject, weights: Weights) -> float:
        return self._leak(judge, subject, weights) - self._base_leak(judge, subject)

    def _leak(self, judge: Embedder, subject: Subject, weights: Weights) -> float:
        drawn = self.draw(weights, [class_prompt(subject.class_noun, KIND)] * CLASS_PICTURES, OF_CLASS)
        return score_subject(judge, drawn, subject.held_out, subject.class_noun).score

    def _base_leak(self, judge: Embedder, subject: Subject) -> float:
        if subject.name not in self.base_leaks:
            self.base_leaks[subject.name] = self._leak(judge, subject, {})
        return self.base_leaks[subject.name]


def in_places() -> list[str]:
    return [place for place in PLACES for _ in range(TAKES)]


def diversity(pictures: Sequence[Image.Image]) -> float:
    """Return the mean root mean square difference between the takes of each place."""
    groups = [pictures[start : start + TAKES] for start in range(0, len(pictures), TAKES)]
    pairs = TAKES * (TAKES - 1)
    return sum(float(pixel_difference(group, group).sum()) / pairs for group in groups) / len(groups)


class Watched(Resident):
    """A resident base that remembers the slot in training, so that each candidate can be read from it."""

    def training_slot(self, rank: int) -> tuple[Bank, int]:
        self.in_training = super().training_slot(rank)
        return self.in_training


@contextmanager
def trained_by(recipe: Recipe, *, uniform: bool = False) -> Iterator[None]:
    """Let our job take this recipe inside the block and, if `uniform`, timesteps that are not spread."""

    def plain(count: int, steps: int, batch: int, generator: torch.Generator) -> Tensor:
        return torch.randint(count, (steps, batch), generator=generator)

    with ExitStack() as stack:
        stack.enter_context(patch.object(training_job, "choose_recipe", lambda *_: recipe))
        if uniform:
            stack.enter_context(patch.object(training, "spread", plain))
        yield


def our_recipe(base: BaseModel, subject: Subject) -> Recipe:
    return choose_recipe(base.family, KIND, Quality.GOOD, len(subject.photos))


def train_ours(model: Watched, recipe: Recipe, subject: Subject, seed: int, folder: Path) -> Training:
    """Run the very job that a person's photos go through."""
    job = uuid.uuid4().hex
    if recipe.prior and not recipe.teacher:
        wording = class_prompts(subject.class_noun, KIND)
        class_images(model, wording, recipe.class_images, recipe.scene_share, folder / "cache")
    order = pipe.Train(request=_request(subject, seed, job), photos=subject.photo_paths, folder=folder / job)
    order.folder.mkdir()
    candidates: dict[int, Weights] = {}
    started = time.monotonic()
    for report in training_job.train(model, order, folder / "cache"):
        if isinstance(report, pipe.Sampled):
            bank, slot = model.in_training
            candidates[report.step] = bank.read(slot, recipe.rank)
        if isinstance(report, pipe.TrainingDone):
            seconds = time.monotonic() - started
            adapter = load_adapter(report.adapter, digest=None, base_digest=model.base.digest)
            views = report.steps * recipe.batch_size
            return Training(adapter.weights, report.steps, views, seconds, candidates, adapter.header.steps)
    raise RuntimeError("the training ended without a result")


def _request(subject: Subject, seed: int, job: str) -> TrainRequest:
    return TrainRequest(
        job=job,
        attempt=1,
        model=job,
        base="demo",
        identifier=IDENTIFIER,
        class_noun=subject.class_noun,
        subject_kind=KIND,
        quality=Quality.GOOD,
        photos=tuple(f"photos/{job}/{place}.png" for place in range(len(subject.photo_paths))),
        seed=seed,
    )


def train_peer(
    plain: BaseModel, model: Resident, recipe: PeerRecipe, subject: Subject, seed: int, folder: Path
) -> Training:
    """Run the example's loop to its end."""
    *_, last = peer_course(plain, model, recipe, subject, seed, folder, {recipe.steps})
    return last


def peer_course(
    plain: BaseModel,
    model: Resident,
    recipe: PeerRecipe,
    subject: Subject,
    seed: int,
    folder: Path,
    lengths: set[int],
) -> Iterator[Training]:
    """Yield the training as it stands after each of the lengths: at a constant rate, each is a training of its own."""
    prompt = class_prompt(subject.class_noun, KIND)
    of_class = class_images(model, [prompt], PEER_CLASS_IMAGES, 0.0, folder / "cache")
    words = instance_prompts(IDENTIFIER, subject.class_noun, KIND)[0]
    started, away = time.monotonic(), 0.0
    peer = Peer(plain, recipe, Pictures(plain, subject.photo_paths, of_class, words, prompt), seed=seed)
    for _ in peer.steps():
        if peer.done in lengths:
            seconds = time.monotonic() - started - away
            left, chance = time.monotonic(), (torch.get_rng_state(), random.getstate())
            yield Training(peer.weights(), peer.done, peer.done * recipe.batch_size, seconds)
            torch.set_rng_state(chance[0])
            random.setstate(chance[1])
            away += time.monotonic() - left


def class_images(model: Resident, wording: Sequence[str], count: int, scene_share: float, cache: Path) -> list[Path]:
    """Return the paths of class images, drawing those that are missing."""
    images = choose_class_images(model.base, wording, count, scene_share, cache)
    for start in range(0, count, BATCH):
        group = images[start : start + BATCH]
        if not all(image.path.is_file() for image in group):
            finish(draw_class_images(model, group, default_sampler(model.base.family)))
    return [image.path for image in images]
