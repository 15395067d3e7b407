"""What the picture tools leave of a subject: its score in the pictures that they were given, and in what they made.

Each subject is trained as in `two_subjects`, whose `--cache` this shares; its pictures go through the studio, as
people's do. With `--out` each tool leaves a sheet: what it was given above, what it made of it below.
"""

import argparse
import json
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw

from benchmarks.main_job import BUNDLE, Subject, rounded
from benchmarks.two_subjects import PLACES, Bench
from gpu_worker import pipe
from gpu_worker.engine.adapters import file_digest
from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.embedder import Embedder
from gpu_worker.engine.fidelity import score_subject
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.studio import Studio
from storage.contract import OUTPAINTED, STRONG, SUBTLE, UPSCALED, Adapter, ImagineRequest, Source, Tool

SUBJECTS = ("rex", "luna", "comet")
SHOWN = 384
"""Pixels a side of the demo base's pictures as people get them."""
WIDE = 672
PAINTED = (70, 190, 300, 372)
"""Where a mask is painted: over the lower half of a face, and the most of a car."""
FIRST_SEED = 65_000
KEY = "pictures/local/1/0.png"
MOST_LOST = 0.1


@dataclass(frozen=True)
class Asked:
    prompt: str
    seed: int
    negative_prompt: str = ""
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Portrayed:
    """A subject that is trained, and how it is called and drawn."""

    subject: Subject
    words: str
    adapter: Path

    def ask(self, number: int) -> Asked:
        return Asked(f"{self.words} {PLACES[number % len(PLACES)]}", FIRST_SEED + number)


class Workshop:
    """Draws and reworks pictures of a subject by the studio, all of them together."""

    def __init__(self, model: Resident, judge: Embedder, who: Portrayed, folder: Path) -> None:
        self.model, self.judge, self.who, self.folder = model, judge, who, folder
        self.made: dict[str, Path] = {}
        self.mask = folder / "mask.png"
        painted = Image.new("L", (SHOWN, SHOWN))
        ImageDraw.Draw(painted).ellipse(PAINTED, fill=255)
        painted.save(self.mask)

    def draw(self, orders: Sequence[pipe.Imagine]) -> list[Path]:
        studio = Studio(self.model, self._hear, _raise)
        for order in orders:
            studio.take(order)
        while studio.busy:
            if batch := studio.choose():
                studio.draw(batch)
            studio.hand_over(patient=not batch)
        studio.encoders.shutdown()
        return [self.made[order.request.job] for order in orders]

    def order(self, asked: Asked, picture: Path | None = None, source: Source | None = None) -> pipe.Imagine:
        job = uuid.uuid4().hex
        (self.folder / job).mkdir()
        adapter = Adapter(model=job, key="models/local", digest=file_digest(self.who.adapter))
        request = ImagineRequest(
            job=job, attempt=1, base="demo", adapter=adapter, source=source, lossless=True, **asdict(asked)
        )
        mask = self.mask if source is not None and source.mask is not None else None
        return pipe.Imagine(
            request=request, adapter=self.who.adapter, source=picture, mask=mask, folder=self.folder / job
        )

    def begun(self, count: int) -> list[Path]:
        return self.draw([self.order(self.who.ask(number)) for number in range(count)])

    def reworked(self, given: Sequence[Path]) -> dict[str, list[Path]]:
        """Return what each tool makes of the pictures."""
        orders = {
            name: [make(self, number, picture) for number, picture in enumerate(given)] for name, make in TOOLS.items()
        }
        drawn = iter(self.draw([order for several in orders.values() for order in several]))
        return {name: [next(drawn) for _ in several] for name, several in orders.items()}

    def score(self, pictures: Sequence[Path]) -> float:
        """Return the subject score; of a wide picture its middle is looked at."""
        opened = [Image.open(path).convert("RGB") for path in pictures]
        return score_subject(self.judge, opened, self.who.subject.held_out, self.who.subject.class_noun).score

    def _hear(self, report: pipe.Report) -> None:
        if isinstance(report, pipe.ImaginingDone):
            self.made[report.job] = report.pictures[0].path


def _raise(_job: str, problem: Exception) -> None:
    raise problem


Make = Callable[[Workshop, int, Path], pipe.Imagine]


def _source(tool: Tool, strength: float, mask: str | None = None) -> Source:
    return Source(tool=tool, key=KEY, mask=mask, strength=strength)


def _varied(strength: float) -> Make:
    def make(shop: Workshop, number: int, picture: Path) -> pipe.Imagine:
        return shop.order(replace(shop.who.ask(number), seed=number), picture, _source(Tool.VARY, strength))

    return make


def _upscaled(shop: Workshop, number: int, picture: Path) -> pipe.Imagine:
    return shop.order(shop.who.ask(number), picture, _source(Tool.UPSCALE, UPSCALED))


def _redrawn(shop: Workshop, number: int, picture: Path) -> pipe.Imagine:
    """Draw what is painted over once more, as one does with a face that went wrong."""
    return shop.order(replace(shop.who.ask(number), seed=number), picture, _source(Tool.INPAINT, 1.0, KEY))


def _wider(shop: Workshop, number: int, picture: Path) -> pipe.Imagine:
    """Draw more of the place to the left and right, and not the subject once more."""
    place = PLACES[number % len(PLACES)]
    asked = Asked(place, number, negative_prompt=shop.who.words, width=WIDE, height=SHOWN)
    return shop.order(asked, picture, _source(Tool.OUTPAINT, OUTPAINTED))


TOOLS: Mapping[str, Make] = {
    "vary-subtle": _varied(SUBTLE),
    "vary-strong": _varied(STRONG),
    "upscale": _upscaled,
    "inpaint": _redrawn,
    "outpaint": _wider,
}


def sheet(given: Sequence[Path], made: Sequence[Path], path: Path, height: int = 192) -> None:
    """Save pictures and, below each, what was made of it; what is larger is shown larger."""
    rows = [[Image.open(one).convert("RGB") for one in row] for row in (given, made)]
    scale = height / rows[0][0].height
    sizes = [[(round(one.width * scale), round(one.height * scale)) for one in row] for row in rows]
    width, heights = max(one[0] for row in sizes for one in row), [row[0][1] for row in sizes]
    whole = Image.new("RGB", (len(given) * (width + 4), sum(heights) + 4), "white")
    for row, of_row, top in zip(rows, sizes, (0, heights[0] + 4), strict=True):
        for column, (one, size) in enumerate(zip(row, of_row, strict=True)):
            left = column * (width + 4) + (width - size[0]) // 2
            whole.paste(one.resize(size, Image.Resampling.LANCZOS), (left, top))
    whole.save(path, quality=88)


def measure(arguments: argparse.Namespace, cache: Path) -> dict[str, Any]:
    cache.mkdir(parents=True, exist_ok=True)
    model = Resident(load_base(arguments.base, arguments.device))
    embedders = model.embedders
    if embedders is None:
        raise SystemExit("there is no judging embedder beside the base: nothing can be scored")
    trainer = Bench(model, embedders, cache, cache)
    scores: dict[str, dict[str, float]] = {}
    for name in SUBJECTS if arguments.full else SUBJECTS[:1]:
        learned = trainer.learn(name)
        who = Portrayed(learned.subject, learned.words, trainer.files[name])
        with tempfile.TemporaryDirectory() as folder:
            shop = Workshop(model, embedders.judging, who, Path(folder))
            given = shop.begun(arguments.pictures)
            made = shop.reworked(given)
            scores[name] = {"given": shop.score(given)} | {tool: shop.score(those) for tool, those in made.items()}
            for tool, those in made.items():
                if arguments.out:
                    arguments.out.mkdir(parents=True, exist_ok=True)
                    sheet(given[:3], those[:3], arguments.out / f"{tool}-{name}.jpg")
        print(json.dumps(rounded({name: scores[name]})), flush=True)
    lost = {tool: max(of_subject["given"] - of_subject[tool] for of_subject in scores.values()) for tool in TOOLS}
    return rounded(
        {
            "device": str(model.base.device),
            "torch": torch.__version__,
            "base": model.base.digest[:16],
            "sizes": {"pictures": arguments.pictures, "subjects": len(scores)},
            "subject_score": scores,
            "most_lost": lost,
            "accepted": all(loss <= MOST_LOST for loss in lost.values()),
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default=str(BUNDLE / "base"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--full", action="store_true", help="all subjects; the quick form takes the first")
    parser.add_argument("--cache", type=Path, help="a folder in which trained adapters are kept for the next time")
    parser.add_argument("--out", type=Path, help="a folder for sheets of pictures")
    parser.add_argument("--pictures", type=int, default=8, help="of each subject")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(arguments, arguments.cache or Path(folder))))


if __name__ == "__main__":
    main()
