"""Whether a data set is worth its pictures: a small classifier learns to tell rex from other dogs, with it and without.

The classifier sees pixels alone, at 64 a side, and none of the embedders; it is trained on rex's six photos, on the set
that `/dataset` draws, and on both, each time against the same other dogs: photos of a crowd, and dogs that the base
draws. It is tested on photos of rex and of a further crowd that nobody has seen (`benchmarks/crowd`). The second part
tells stories of six pages and scores every page against the subject's solo score.
"""

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from benchmarks.main_job import BUNDLE, finish, rounded
from benchmarks.two_subjects import Bench
from bot.datasets import Choice, Drawn, choose
from bot.runs import TAKES
from bot.variety import PLACES, captions
from gpu_worker.engine.adapters import file_digest
from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.photos import load_photos, to_image
from gpu_worker.engine.recipes import default_sampler
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, draw
from gpu_worker.engine.sizes import for_display
from storage.contract import SubjectKind

NAME = "rex"
CROWD = Path(__file__).parent / "crowd"
FIRST_SEED, CLASS_SEED, STORY_SEED = 70_000, 71_000, 72_000
"""Far from every seed that the engine itself draws samples with."""
SIDE, STEPS, BATCH, RATE = 64, 300, 32, 2e-3
STORY = ("in a room", "in the city", "at the beach", "in the forest", "in space", "on the moon")
LEAST_SHARE = 0.8
"""Of the solo score, on every page of a story."""


@dataclass(frozen=True)
class Lesson:
    """What a classifier is trained on."""

    subject: Tensor
    """[n, 3, SIDE, SIDE] in 0..1"""
    others: Tensor


def pixels(pictures: Sequence[Image.Image]) -> Tensor:
    small = [np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)) for picture in pictures]
    return torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float() / 255


def small_network() -> nn.Module:
    """Return a classifier of four convolutions and one number a picture; 60,000 weights."""
    widths = (3, 16, 32, 64, 64)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(widths[-1], 1))


def augmented(batch: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror, crop and brighten each picture at random, as is usual."""
    shown = []
    for picture in batch:
        side = int(torch.randint(round(SIDE * 0.7), SIDE + 1, (1,), generator=generator))
        top, left = (int(torch.randint(0, SIDE - side + 1, (1,), generator=generator)) for _ in range(2))
        part = picture[:, top : top + side, left : left + side]
        part = F.interpolate(part[None], size=(SIDE, SIDE), mode="bilinear", antialias=True)[0]
        if torch.rand(1, generator=generator) < 0.5:
            part = part.flip(2)
        shown.append(part * (0.8 + 0.4 * torch.rand(1, generator=generator)))
    return torch.stack(shown).clamp(0, 1)


def learn(lesson: Lesson, seed: int, steps: int) -> nn.Module:
    """Train a classifier on as many pictures of the subject as of others in each batch."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = small_network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    target = torch.cat([torch.ones(BATCH // 2), torch.zeros(BATCH // 2)])
    for _ in range(steps):
        halves = [
            of_side[torch.randint(len(of_side), (BATCH // 2,), generator=generator)]
            for of_side in (lesson.subject, lesson.others)
        ]
        said = network(augmented(torch.cat(halves), generator)).flatten()
        loss = F.binary_cross_entropy_with_logits(said, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.inference_mode()
def accuracy(network: nn.Module, subject: Tensor, others: Tensor) -> float:
    """Return the mean of the shares of both sides that are told right."""
    right = (network(subject) > 0).float().mean(), (network(others) <= 0).float().mean()
    return float(sum(right)) / 2


class Easel:
    """Draws with a model that has learned the subject."""

    def __init__(self, bench: Bench) -> None:
        self.model, self.bench = bench.model, bench
        self.who = bench.learn(NAME)
        self.adapter = bench.files[NAME]
        self.sampler = default_sampler(self.model.base.family)

    def draw(self, prompts: Sequence[str], first_seed: int, slot: int | None = None) -> list[Image.Image]:
        orders = [
            PictureOrder(prompt=prompt, seed=first_seed + number, slot=self.who.slot if slot is None else slot)
            for number, prompt in enumerate(prompts)
        ]
        return [to_image(picture) for picture in finish(draw(self.model, orders, self.sampler))]

    def scores(self, pictures: Sequence[Image.Image]) -> list[float | None]:
        """Score pictures as a worker does: by what the adapter holds of the photos."""
        return self.model.likeness(self.adapter, file_digest(self.adapter), pictures)

    def data_set(self, count: int) -> Choice:
        """Draw and choose as `/dataset` does."""
        told = captions(NAME, count, FIRST_SEED)
        pictures = self.draw([caption.replace(NAME, self.who.words) for caption in told], FIRST_SEED)
        drawn = []
        for caption, picture, score in zip(told, pictures, self.scores(pictures), strict=True):
            packed = io.BytesIO()
            for_display(picture).save(packed, "PNG")
            drawn.append(Drawn(caption=caption, seed=0, score=score, data=packed.getvalue()))
        return choose(drawn, SubjectKind.PET)


def lessons(easel: Easel, kept: Sequence[Image.Image]) -> Mapping[str, Lesson]:
    noun = easel.who.subject.class_noun
    prompts = [f"a {noun} {PLACES[number % len(PLACES)]}" for number in range(24)]
    drawn = easel.draw(prompts, CLASS_SEED, slot=0)  # else all that is drawn would be the subject
    others = pixels([*_photos("train"), *drawn])
    photos, of_set = pixels(easel.who.subject.photos), pixels(kept)
    return {
        "photos": Lesson(photos, others),
        "set": Lesson(of_set, others),
        "both": Lesson(torch.cat([photos, of_set]), others),
    }


def compare(easel: Easel, kept: Sequence[Image.Image], seeds: int, steps: int) -> dict[str, Any]:
    """Return the accuracy of classifiers of several seeds, by what they were trained on."""
    subject = pixels([*easel.who.subject.held_out, *_photos("rex")])
    others = pixels(_photos("judge"))
    found: dict[str, Any] = {}
    for name, lesson in lessons(easel, kept).items():
        shares = [accuracy(learn(lesson, seed, steps), subject, others) for seed in range(seeds)]
        found[name] = {"mean": statistics.mean(shares), "least": min(shares), "most": max(shares)}
        print(json.dumps(rounded({name: found[name]})), flush=True)
    return found


def stories(easel: Easel, count: int, takes: int) -> dict[str, Any]:
    """Score every page of so many stories as a share of the solo score; of each page the best of `takes` stays."""
    solo = easel.bench.alone(easel.who)
    pages: list[float] = []
    for number in range(count):
        for place in STORY:
            seed = STORY_SEED + number * 1000 + len(pages) * takes
            pictures = easel.draw([f"{easel.who.words} {place}"] * takes, seed)
            scores = [score or 0.0 for score in easel.scores(pictures)]
            best = pictures[int(np.argmax(scores))]
            pages.append(easel.bench.score(easel.who, [best]) / solo)
    whole = [min(pages[start : start + len(STORY)]) for start in range(0, len(pages), len(STORY))]
    return {
        "solo": solo,
        "pages_mean": statistics.mean(pages),
        "pages_enough": sum(page >= LEAST_SHARE for page in pages) / len(pages),
        "least_page_of_each": whole,
    }


def _photos(name: str) -> list[Image.Image]:
    return load_photos(sorted((CROWD / name).glob("*.jpg")))


def keep(pictures: Sequence[Image.Image], path: Path, side: int = 96, across: int = 12) -> None:
    """Save the pictures as one sheet to look at."""
    rows = -(-len(pictures) // across)
    sheet = Image.new("RGB", (across * side, rows * side), "white")
    for number, picture in enumerate(pictures):
        row, column = divmod(number, across)
        sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (column * side, row * side))
    sheet.save(path, quality=88)


def measure(arguments: argparse.Namespace, cache: Path) -> dict[str, Any]:
    cache.mkdir(parents=True, exist_ok=True)
    model = Resident(load_base(arguments.base, arguments.device))
    embedders = model.embedders
    if embedders is None:
        raise SystemExit("there is no embedder beside the base: nothing can be scored")
    easel = Easel(Bench(model, embedders, cache, cache))
    began = time.monotonic()
    choice = easel.data_set(arguments.count)
    seconds = time.monotonic() - began
    kept = [Image.open(io.BytesIO(each.drawn.data)) for each in choice.kept]
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        keep(kept, arguments.out / "dataset.jpg")
    told = compare(easel, kept, arguments.seeds, arguments.steps)
    return rounded(
        {
            "device": str(model.base.device),
            "torch": torch.__version__,
            "base": model.base.digest[:16],
            "sizes": {"drawn": arguments.count, "classifiers": arguments.seeds, "stories": arguments.stories},
            "set": {"kept": len(kept), "weak": choice.weak, "same": choice.same, "seconds": seconds},
            "accuracy": told,
            "accepted": told["both"]["mean"] > told["photos"]["mean"],
            "stories": {f"of_{takes}": stories(easel, arguments.stories, takes) for takes in (1, arguments.takes)},
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=str(BUNDLE / "base"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--cache", type=Path, help="a folder in which the trained adapter is kept for the next time")
    parser.add_argument("--out", type=Path, help="a folder for a sheet of the set")
    parser.add_argument("--count", type=int, default=48, help="pictures of the set")
    parser.add_argument("--seeds", type=int, default=5, help="classifiers of each kind")
    parser.add_argument("--steps", type=int, default=STEPS, help="that a classifier is trained for")
    parser.add_argument("--stories", type=int, default=1, help="of six pages")
    parser.add_argument("--takes", type=int, default=TAKES, help="of which the best becomes a page")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(arguments, arguments.cache or Path(folder))))


if __name__ == "__main__":
    main()
