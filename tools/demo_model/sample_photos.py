"""Renders the sample photos: three subjects in drawings that the base model never saw, each in a coat of its own.

Every photo is a scene of its own at 512 px, drawn by the composer: another place, size and turn each time.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.demo_model import art
from tools.demo_model.coats import Coat
from tools.demo_model.compose import Individual, Studio

SIZE = 512
TRAINING = ("room", "meadow", "beach", "plain", "city", "snow")
JUDGING = ("forest", "room", "plain", "desert", "meadow", "beach", "snow", "city")


@dataclass(frozen=True)
class Subject:
    """A subject with its name and the seed of its photos."""

    name: str
    who: Individual
    seed: int


SUBJECTS = (
    Subject("rex", Individual("dog", art.HELD_OUT["dog"], Coat("orange", "patches", "white", 1.0, 2)), 11),
    Subject("luna", Individual("cat", art.HELD_OUT["cat"], Coat("purple", "stripes", "white", 1.0, 5)), 12),
    Subject("comet", Individual("car", art.HELD_OUT["car"], Coat("white", "stripes", "blue", 1.0, 3)), 13),
)


def write(subject: Subject, studio: Studio, folder: Path) -> None:
    """Write class.txt, train/ and judge/ for one subject."""
    sprite = studio.sprite(subject.who)
    seeds = np.random.default_rng(subject.seed).integers(1 << 31, size=len(TRAINING) + len(JUDGING)).tolist()
    for use, places in (("train", TRAINING), ("judge", JUDGING)):
        target = folder / subject.name / use
        target.mkdir(parents=True, exist_ok=True)
        for number, place in enumerate(places, 1):
            photo = studio.portrait(sprite, place, seeds.pop())
            photo.save(target / f"{number}.jpg", quality=90, optimize=True)
    (folder / subject.name / "class.txt").write_text(subject.who.noun + "\n", encoding="utf-8")


def main() -> None:
    """Render the sample photos."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cache", type=Path, default=art.CACHE)
    parser.add_argument("--out", type=Path, default=Path("gpu_worker/demo_bundle/photos"))
    options = parser.parse_args()
    studio = Studio(options.cache, SIZE)
    for subject in SUBJECTS:
        write(subject, studio, options.out)
        print(f"{subject.name}, a {subject.who.noun}: {options.out / subject.name}")


if __name__ == "__main__":
    main()
