"""The main job's quality and time: each sample subject is trained, drawn in new places, and scored by the judge.

`python -m benchmarks.main_job --seeds 3` is the full measurement; one seed is the quick form. Scores are against photos
of the subject that training never saw, on prompts and seeds that choosing never saw.
"""

import argparse
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image

import gpu_worker
from gpu_worker import pipe
from gpu_worker.engine.adapters import file_digest
from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.embedder import Embedder
from gpu_worker.engine.fidelity import find_copies, score_class, score_places, score_subject
from gpu_worker.engine.judge import through_vae
from gpu_worker.engine.photos import load_photos, to_image
from gpu_worker.engine.recipes import default_sampler
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, draw
from gpu_worker.engine.training_job import train
from gpu_worker.prompts import class_prompt
from storage.contract import Quality, SubjectKind, TrainingOptions, TrainRequest

T = TypeVar("T")

BUNDLE = Path(gpu_worker.__file__).parent / "demo_bundle"
IDENTIFIER = "sks"
PLACES = {"moon": "on the moon", "forest": "in the forest", "snow": "in the snow", "space": "in space"}
PICTURES_PER_PLACE = 4
FIRST_SEED = 50_000
"""Far from every seed that the engine itself draws samples with."""

LEAST_SCORE, LEAST_MEAN, LEAST_PLACES = 0.6, 0.7, 0.75
MOST_TRAIN_SECONDS, MOST_IMAGE_SECONDS = 120.0, 20.0


@dataclass(frozen=True)
class Subject:
    name: str
    class_noun: str
    photo_paths: tuple[Path, ...]
    photos: list[Image.Image]
    held_out: list[Image.Image]


def load_subject(folder: Path) -> Subject:
    """Read a folder with `class.txt`, photos to train on in `train`, and photos to judge by in `judge`."""
    photos, held_out = (tuple(sorted((folder / name).glob("*.jpg"))) for name in ("train", "judge"))
    noun = (folder / "class.txt").read_text(encoding="utf-8").strip()
    return Subject(folder.name, noun, photos, load_photos(photos), load_photos(held_out))


@dataclass(frozen=True)
class Run:
    subject: str
    seed: int
    steps: int
    train_seconds: float
    image_seconds: float
    """For one picture asked for alone."""
    subject_score: float
    cosine: float
    prompt_score: float
    copies: int
    class_kept: float
    """The share of "a photo of a <class>" that still shows the class, drawn with the trained model."""
    leak: float
    """The subject score of those pictures: near the base's own if the class was not overwritten."""
    reported_score: float | None
    """What the engine itself told the owner."""


@dataclass(frozen=True)
class Bounds:
    """What the scores of a subject lie between, whatever the training does."""

    base: float
    photos: float
    photos_through_vae: float


class Bench:
    def __init__(self, model: Resident, judge: Embedder, folder: Path) -> None:
        self.model, self.judge, self.folder = model, judge, folder
        self.sampler = default_sampler(model.base.family)

    def bounds(self, subject: Subject) -> Bounds:
        def score(pictures: Sequence[Image.Image]) -> float:
            return score_subject(self.judge, pictures, subject.held_out, subject.class_noun).score

        drawn, _ = self.draw_in_places(subject, slot=0)
        return Bounds(score(drawn), score(subject.photos), score(through_vae(self.model.base, subject.photos)))

    def run(self, subject: Subject, seed: int, options: TrainingOptions) -> Run:
        started = time.monotonic()
        done = self.train(subject, seed, options)
        train_seconds = time.monotonic() - started
        slot = self.model.slot_of(done.adapter, file_digest(done.adapter))

        started = time.monotonic()
        self.draw([PictureOrder(prompt=f"{IDENTIFIER} {subject.class_noun} at the beach", seed=FIRST_SEED, slot=slot)])
        image_seconds = time.monotonic() - started

        pictures, places = self.draw_in_places(subject, slot)
        of_class = self.draw(
            [
                PictureOrder(
                    prompt=class_prompt(subject.class_noun, SubjectKind.PET), seed=FIRST_SEED + 100 + n, slot=slot
                )
                for n in range(8)
            ]
        )
        keep(pictures, self.folder / f"{subject.name}-{seed}.png")
        score = score_subject(self.judge, pictures, subject.held_out, subject.class_noun)
        return Run(
            subject=subject.name,
            seed=seed,
            steps=done.steps,
            train_seconds=train_seconds,
            image_seconds=image_seconds,
            subject_score=score.score,
            cosine=score.cosine,
            prompt_score=score_places(self.judge, pictures, places),
            copies=len(find_copies(self.judge, pictures, subject.photos)),
            class_kept=score_class(self.judge, of_class, subject.class_noun),
            leak=score_subject(self.judge, of_class, subject.held_out, subject.class_noun).score,
            reported_score=done.subject_score,
        )

    def train(self, subject: Subject, seed: int, options: TrainingOptions) -> pipe.TrainingDone:
        """Run a training job to its end, class images from the shared cache included."""
        job = uuid.uuid4().hex
        request = TrainRequest(
            job=job,
            attempt=1,
            model=job,
            base="demo",
            identifier=IDENTIFIER,
            class_noun=subject.class_noun,
            subject_kind=SubjectKind.PET,
            quality=Quality.GOOD,
            photos=tuple(f"photos/{job}/{place}.png" for place in range(len(subject.photo_paths))),
            options=options,
            seed=seed,
        )
        (self.folder / job).mkdir()
        order = pipe.Train(request=request, photos=subject.photo_paths, folder=self.folder / job)
        for report in train(self.model, order, self.folder / "cache"):
            if isinstance(report, pipe.TrainingDone):
                return report
        raise RuntimeError("the training ended without a result")

    def draw_in_places(self, subject: Subject, slot: int) -> tuple[list[Image.Image], list[str]]:
        words = f"{IDENTIFIER} {subject.class_noun}"
        wanted = [(place, phrase) for place, phrase in PLACES.items() for _ in range(PICTURES_PER_PLACE)]
        orders = [
            PictureOrder(prompt=f"{words} {phrase}", seed=FIRST_SEED + number, slot=slot)
            for number, (_, phrase) in enumerate(wanted)
        ]
        return self.draw(orders), [place for place, _ in wanted]

    def draw(self, orders: Sequence[PictureOrder]) -> list[Image.Image]:
        """Draw at the base's native size, which is what is scored."""
        pixels = finish(draw(self.model, orders, self.sampler))
        return [to_image(picture) for picture in pixels]


def finish(work: Generator[object, None, T]) -> T:
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def keep(pictures: Sequence[Image.Image], path: Path, side: int = 128) -> None:
    """Save the pictures as one sheet to look at, a place in each row."""
    sheet = Image.new("RGB", (PICTURES_PER_PLACE * side, len(PLACES) * side))
    for number, picture in enumerate(pictures):
        row, column = divmod(number, PICTURES_PER_PLACE)
        sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (column * side, row * side))
    sheet.save(path)


def accepted(runs: Sequence[Run]) -> bool:
    """Say whether the main job is as good and as fast as it should be on a two-core machine."""
    return (
        all(run.subject_score >= LEAST_SCORE and run.prompt_score >= LEAST_PLACES and not run.copies for run in runs)
        and statistics.mean(run.subject_score for run in runs) >= LEAST_MEAN
        and all(run.train_seconds <= MOST_TRAIN_SECONDS and run.image_seconds <= MOST_IMAGE_SECONDS for run in runs)
    )


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    model = Resident(load_base(arguments.base, arguments.device))
    embedders = model.embedders
    if embedders is None:
        raise SystemExit("there is no judging embedder beside the base: nothing can be scored")
    bench = Bench(model, embedders.judging, folder)
    subjects = [load_subject(path) for path in sorted(arguments.subjects.iterdir()) if path.is_dir()]
    options = TrainingOptions.model_validate_json(arguments.options)
    runs: list[Run] = []
    bounds = {subject.name: asdict(bench.bounds(subject)) for subject in subjects}
    for subject in subjects:
        for seed in range(arguments.seeds):
            runs.append(bench.run(subject, seed, options))
            print(json.dumps(rounded(asdict(runs[-1]))), flush=True)
    return rounded(
        {
            "device": str(model.base.device),
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "base": model.base.digest[:16],
            "sizes": {"pixels": model.base.resolution, "pictures": len(PLACES) * PICTURES_PER_PLACE, "runs": len(runs)},
            "subject_score": {
                "trained": statistics.mean(run.subject_score for run in runs),
                "least": min(run.subject_score for run in runs),
                **{key: statistics.mean(bound[key] for bound in bounds.values()) for key in Bounds.__annotations__},
            },
            "prompt_score": statistics.mean(run.prompt_score for run in runs),
            "least_prompt_score": min(run.prompt_score for run in runs),
            "copies": sum(run.copies for run in runs),
            "train_seconds": max(run.train_seconds for run in runs),
            "image_seconds": max(run.image_seconds for run in runs),
            "bounds": bounds,
            "accepted": accepted(runs),
        }
    )


def rounded(result: dict[str, Any]) -> dict[str, Any]:
    """Cut every figure, however deep, to three decimals."""
    short: dict[str, Any] = json.loads(json.dumps(result), parse_float=lambda text: round(float(text), 3))
    return short


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default=str(BUNDLE / "base"))
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--subjects", type=Path, default=BUNDLE / "photos", help="a folder of subjects, each with photos"
    )
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each subject")
    parser.add_argument("--options", default="{}", help='training options as JSON, such as {"steps": 300}')
    parser.add_argument("--out", type=Path, help="folder to keep adapters and sheets of pictures in")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = arguments.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        print(json.dumps(measure(arguments, out)))


if __name__ == "__main__":
    main()
