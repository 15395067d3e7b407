"""A style, learned from a few pictures: how alike what is drawn in it is to them, and whether it shows what was asked.

The style is a wash of two colours that is laid over photos of different subjects here: plum in the shadows, peach in
the light. What is judged are things that the style was not taught with, by the embedder that chose nothing.
"""

import argparse
import json
import tempfile
import uuid
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps

from benchmarks.main_job import BUNDLE, IDENTIFIER, finish, keep, load_subject, rounded
from gpu_worker import pipe
from gpu_worker.engine.adapters import file_digest
from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.embedder import Embedder
from gpu_worker.engine.fidelity import score_class, score_style
from gpu_worker.engine.photos import to_image
from gpu_worker.engine.recipes import default_sampler
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, draw
from gpu_worker.engine.training_job import train
from gpu_worker.prompts import style_prompts, with_article
from storage.contract import MAX_PHOTOS, Quality, SubjectKind, TrainingOptions, TrainRequest

NOUN = "wash"
SHADOW, LIGHT = (90, 20, 110), (255, 225, 160)
SIDE, COVER = 256, 0.7
SUBJECTS = Path(__file__).parent / "subjects"
TAUGHT_PER_SUBJECT = 2
THINGS = ("lion", "bear", "robot", "penguin")
"""None of them is among the examples."""
PICTURES_PER_THING = 4
FIRST_SEED = 60_000


def washed(photo: Image.Image) -> Image.Image:
    """Lay the wash over a photo: its light and dark stay, most of its colours go."""
    fitted = ImageOps.fit(photo, (SIDE, SIDE))
    wash = ImageOps.colorize(ImageOps.autocontrast(fitted.convert("L")), black=SHADOW, white=LIGHT)
    return Image.blend(fitted, wash, COVER)


def examples(folder: Path) -> tuple[Path, ...]:
    """Write washed copies of two photos of every subject that there is; returns where they are."""
    subjects = sorted(path.parent for folder in (BUNDLE / "photos", SUBJECTS) for path in folder.glob("*/class.txt"))
    photos = [photo for subject in subjects for photo in load_subject(subject).photos[:TAUGHT_PER_SUBJECT]]
    paths = tuple(folder / f"{number}.png" for number in range(min(len(photos), MAX_PHOTOS)))
    for path, photo in zip(paths, photos, strict=False):
        washed(photo).save(path)
    return paths


def teach(model: Resident, photos: tuple[Path, ...], seed: int, options: TrainingOptions, folder: Path) -> int:
    """Train the style as a job; returns the slot that it serves from."""
    job = uuid.uuid4().hex
    request = TrainRequest(
        job=job,
        attempt=1,
        model=job,
        base="demo",
        identifier=IDENTIFIER,
        class_noun=NOUN,
        subject_kind=SubjectKind.STYLE,
        quality=Quality.GOOD,
        photos=tuple(f"photos/{job}/{place}.png" for place in range(len(photos))),
        options=options,
        seed=seed,
    )
    (folder / job).mkdir()
    order = pipe.Train(request=request, photos=photos, folder=folder / job)
    for report in train(model, order, folder / "cache"):
        if isinstance(report, pipe.TrainingDone):
            print(json.dumps({"seed": seed, "steps": report.steps, "seconds": round(report.seconds, 1)}), flush=True)
            return model.slot_of(report.adapter, file_digest(report.adapter))
    raise RuntimeError("the training ended without a result")


def drawn(model: Resident, prompts: list[str], slot: int) -> list[Image.Image]:
    orders = [
        PictureOrder(prompt=prompt, seed=FIRST_SEED + number, slot=slot)
        for prompt in prompts
        for number in range(PICTURES_PER_THING)
    ]
    return [to_image(pixels) for pixels in finish(draw(model, orders, default_sampler(model.base.family)))]


def adherence(judge: Embedder, pictures: list[Image.Image]) -> float:
    """Return the share of pictures that show their thing."""
    by_thing = [pictures[start : start + PICTURES_PER_THING] for start in range(0, len(pictures), PICTURES_PER_THING)]
    shares = [score_class(judge, group, thing) for group, thing in zip(by_thing, THINGS, strict=True)]
    return sum(shares) / len(shares)


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    model = Resident(load_base(str(BUNDLE / "base"), arguments.device))
    embedders = model.embedders
    if embedders is None:
        raise SystemExit("there is no judging embedder beside the base: nothing can be scored")
    photos = examples(folder)
    taught, judge = [Image.open(path).convert("RGB") for path in photos], embedders.judging
    plain = drawn(model, [f"a picture of {with_article(thing)}" for thing in THINGS], 0)
    keep(plain, folder / "plain.png")
    runs = []
    for seed in range(arguments.seeds):
        slot = teach(model, photos, seed, TrainingOptions.model_validate_json(arguments.options), folder)
        pictures = drawn(model, style_prompts(IDENTIFIER, NOUN, THINGS), slot)
        keep(pictures, folder / f"style-{seed}.png")
        runs.append(
            {
                "style_score": score_style(judge, pictures, taught, plain),
                "adherence": adherence(judge, pictures),
                "plain_with_model": score_style(
                    judge,
                    drawn(model, [f"a picture of {with_article(thing)}" for thing in THINGS], slot),
                    taught,
                    plain,
                ),
            }
        )
    return rounded(
        {
            "device": str(model.base.device),
            "torch": torch.__version__,
            "base": model.base.digest[:16],
            "sizes": {"examples": len(photos), "pictures": len(THINGS) * PICTURES_PER_THING},
            "adherence_of": {
                "base": adherence(judge, plain),
                "base_washed": adherence(judge, [washed(picture) for picture in plain]),
            },
            "runs": runs,
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--options", default="{}", help='training options as JSON, such as {"steps": 300}')
    parser.add_argument("--out", type=Path, help="folder to keep examples and sheets of pictures in")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = arguments.out or Path(folder)
        out.mkdir(parents=True, exist_ok=True)
        print(json.dumps(measure(arguments, out)))


if __name__ == "__main__":
    main()
