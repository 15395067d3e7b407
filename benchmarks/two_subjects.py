"""Two subjects in one picture: whether each is itself there, and leaves the other alone.

Each subject is trained by the training job (kept in `--cache`), its own pictures give its solo score, and pictures of
both are judged part by part: in the square that the engine gave a subject, and in the one where it is found by the
embedder that chooses, which looks for it all over the picture. `--out` keeps the sheets of pictures.
"""

import argparse
import json
import shutil
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.fidelity import SUBJECTS
from benchmarks.main_job import BUNDLE, Subject, finish, load_subject, rounded
from gpu_worker import pipe
from gpu_worker.engine.adapters import file_digest
from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.embedder import Embedders
from gpu_worker.engine.fidelity import score_subject
from gpu_worker.engine.photos import to_image
from gpu_worker.engine.recipes import default_sampler
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, draw
from gpu_worker.engine.sizes import drawing_size
from gpu_worker.engine.texts import Saying
from gpu_worker.engine.training_job import train
from gpu_worker.prompts import subject_words
from storage.contract import Quality, SubjectKind, TrainRequest
from storage.identifiers import IDENTIFIERS

PAIRS = (("rex", "luna"), ("comet", "clover"), ("ember", "sage"), ("rex", "bolt"))
"""A dog and a cat, a car and a rabbit, a fox and an owl; and two dogs, the hardest."""
PLACES = ("on the moon", "at the beach", "in the forest", "in the snow")
TAKES = 2
FIRST_SEED = 60_000
LEAST_OWN, MOST_OTHER = 0.6, 0.2
"""As a share of the solo score, and as a score."""
LOOKED_AT = (40, 48, 56, 64)
"""Sides in pixels of the squares in which a subject is looked for."""
STRIDE = 8


@dataclass(frozen=True)
class Trained:
    subject: Subject
    words: str
    slot: int


class Bench:
    def __init__(self, model: Resident, embedders: Embedders, cache: Path, out: Path) -> None:
        self.model, self.embedders, self.cache, self.out = model, embedders, cache, out
        self.sampler = default_sampler(model.base.family)
        self.trained: dict[str, Trained] = {}
        self.files: dict[str, Path] = {}
        """The adapters of those who are trained."""
        self.solo: dict[str, float] = {}

    def learn(self, name: str) -> Trained:
        """Return a subject that the model knows, training it unless it is in the cache."""
        if name not in self.trained:
            bundled = BUNDLE / "photos" / name
            subject = load_subject(bundled if bundled.is_dir() else SUBJECTS / name)
            identifier = IDENTIFIERS[len(self.trained)]
            path = self.files[name] = self.cache / f"{name}-{identifier}-{self.model.base.digest[:16]}.safetensors"
            if not path.is_file():
                shutil.copy(self._train(subject, identifier), path)
            slot = self.model.slot_of(path, file_digest(path))
            self.trained[name] = Trained(subject, subject_words(identifier, subject.class_noun), slot)
        return self.trained[name]

    def _train(self, subject: Subject, identifier: str) -> Path:
        job = uuid.uuid4().hex
        request = TrainRequest(
            job=job,
            attempt=1,
            model=job,
            base="demo",
            identifier=identifier,
            class_noun=subject.class_noun,
            subject_kind=SubjectKind.PET,
            quality=Quality.GOOD,
            photos=tuple(f"photos/{job}/{place}.png" for place in range(len(subject.photo_paths))),
            class_agreed=True,
            seed=0,
        )
        folder = self.cache / job
        folder.mkdir()
        order = pipe.Train(request=request, photos=subject.photo_paths, folder=folder)
        for report in train(self.model, order, self.cache / "class-images"):
            if isinstance(report, pipe.TrainingDone):
                return report.adapter
        raise RuntimeError("the training ended without a result")

    def alone(self, one: Trained) -> float:
        """Return the score of pictures of one subject alone."""
        name = one.subject.name
        if name not in self.solo:
            said = [Saying(f"{one.words} {place}", one.slot) for place in PLACES for _ in range(TAKES)]
            orders = [
                PictureOrder(prompt=saying.prompt, slot=saying.slot, seed=FIRST_SEED + number)
                for number, saying in enumerate(said)
            ]
            self.solo[name] = self.score(one, self.draw(orders, name))
        return self.solo[name]

    def together(self, one: Trained, other: Trained) -> list[Image.Image]:
        said = [
            tuple(Saying(f"{who.words} {place}", who.slot) for who in (one, other))
            for place in PLACES
            for _ in range(TAKES)
        ]
        orders = [
            PictureOrder(prompt=subjects[0].prompt, subjects=subjects, seed=FIRST_SEED + number)
            for number, subjects in enumerate(said)
        ]
        return self.draw(orders, f"{one.subject.name}-{other.subject.name}")

    def draw(self, orders: Sequence[PictureOrder], name: str) -> list[Image.Image]:
        size = drawing_size(self.model.base, None, None, pair=bool(orders[0].subjects))
        pictures = [to_image(picture) for picture in finish(draw(self.model, orders, self.sampler, size))]
        keep(pictures, self.out / f"{name}.png")
        return pictures

    def score(self, who: Trained, pictures: Sequence[Image.Image]) -> float:
        subject = who.subject
        return score_subject(self.embedders.judging, pictures, subject.held_out, subject.class_noun).score

    def find(self, who: Trained, picture: Image.Image) -> Image.Image:
        """Cut out the square of a picture that is most like a subject's photos."""
        looked_at = [
            picture.crop((left, top, left + side, top + side))
            for side in LOOKED_AT
            for top in range(0, picture.height - side + 1, STRIDE)
            for left in range(0, picture.width - side + 1, STRIDE)
        ]
        chooser = self.embedders.choosing
        alike = (chooser.look(looked_at).identity @ chooser.look(who.subject.photos).identity.T).mean(1)
        return looked_at[int(alike.argmax())]

    def pair(self, names: tuple[str, str]) -> dict[str, Any]:
        """Return both subjects' scores in the part of each, by the engine's squares and by looking for them."""
        both = [self.learn(name) for name in names]
        pictures = self.together(*both)
        lines: dict[str, Any] = {}
        for place, who in enumerate(both):
            other = both[1 - place]
            squares = [square(picture, place) for picture in pictures]
            found = [self.find(who, picture) for picture in pictures]
            solo, own, strange = self.alone(who), self.score(who, squares), self.score(other, squares)
            lines[who.subject.name] = {
                "solo": solo,
                "own_share": own / solo,
                "other": strange,
                "found_share": self.score(who, found) / solo,
                "other_where_found": self.score(other, found),
                "accepted": own >= LEAST_OWN * solo and strange < MOST_OTHER,
            }
        return lines


def square(picture: Image.Image, place: int) -> Image.Image:
    """Cut out the square that the engine shows the network as the first or the second subject's."""
    side = picture.height
    left = 0 if place == 0 else picture.width - side
    return picture.crop((left, 0, left + side, side))


def keep(pictures: Sequence[Image.Image], path: Path, height: int = 128) -> None:
    """Save the pictures as one sheet to look at, a place in each row."""
    width = round(pictures[0].width * height / pictures[0].height)
    sheet = Image.new("RGB", (TAKES * width, len(PLACES) * height))
    for number, picture in enumerate(pictures):
        row, column = divmod(number, TAKES)
        sheet.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (column * width, row * height))
    sheet.save(path)


def measure(arguments: argparse.Namespace, cache: Path) -> dict[str, Any]:
    out = arguments.out or cache
    for folder in (cache, out):
        folder.mkdir(parents=True, exist_ok=True)
    model = Resident(load_base(arguments.base, arguments.device))
    embedders = model.embedders
    if embedders is None:
        raise SystemExit("there is no judging embedder beside the base: nothing can be scored")
    bench = Bench(model, embedders, cache, out)
    pairs: dict[str, Any] = {}
    for names in PAIRS if arguments.full else PAIRS[:1]:
        pairs[" and ".join(names)] = lines = bench.pair(names)
        print(json.dumps(rounded(lines)), flush=True)
    return rounded(
        {
            "device": str(model.base.device),
            "torch": torch.__version__,
            "base": model.base.digest[:16],
            "sizes": {"pictures": len(PLACES) * TAKES, "pixels": drawing_size(model.base, None, None, pair=True)},
            "pairs": pairs,
            "accepted": {name: all(line["accepted"] for line in lines.values()) for name, lines in pairs.items()},
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=str(BUNDLE / "base"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--full", action="store_true", help="all pairs; the quick form takes the first")
    parser.add_argument("--cache", type=Path, help="a folder in which trained adapters are kept for the next time")
    parser.add_argument("--out", type=Path, help="a folder for sheets of pictures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(arguments, arguments.cache or Path(folder))))


if __name__ == "__main__":
    main()
