"""Renders photos of many dogs for `benchmarks/dataset.py`: rex in places of his own, and a crowd of others.

Every second one of the crowd is drawn after the same art as rex, in another coat, so that only the coat tells him from
them; the rest after art that the base model knows. Nobody stands in two photos.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tools.demo_model import art, places
from tools.demo_model.coats import random_coat
from tools.demo_model.compose import Individual, Studio
from tools.demo_model.sample_photos import SUBJECTS

SIZE = 128
NOUN = "dog"
FOLDERS = {"train": (24, 41), "judge": (48, 42)}
"""How many of the crowd, and the seed of their photos."""
REX, REX_SEED = 32, 43


def crowd(studio: Studio, count: int, seed: int) -> Iterator[Image.Image]:
    rng = np.random.default_rng(seed)
    known = art.TRAINING[NOUN]
    for number in range(count):
        drawing = art.HELD_OUT[NOUN] if number % 2 else known[int(rng.integers(len(known)))]
        who = Individual(NOUN, drawing, random_coat(rng, recoloured=1.0, patterned=0.8))
        yield _portrait(studio, rng, studio.sprite(who))


def rex(studio: Studio) -> Iterator[Image.Image]:
    rng, sprite = np.random.default_rng(REX_SEED), studio.sprite(SUBJECTS[0].who)
    for _ in range(REX):
        yield _portrait(studio, rng, sprite)


def _portrait(studio: Studio, rng: np.random.Generator, sprite: Image.Image) -> Image.Image:
    return studio.portrait(sprite, str(rng.choice([*places.PLACES, "plain"])), int(rng.integers(1 << 31)))


def main() -> None:
    """Render the crowd."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cache", type=Path, default=art.CACHE)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/crowd"))
    options = parser.parse_args()
    studio = Studio(options.cache, SIZE)
    groups = {name: crowd(studio, *asked) for name, asked in FOLDERS.items()} | {"rex": rex(studio)}
    for name, photos in groups.items():
        folder = options.out / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, photo in enumerate(photos, start=1):
            photo.save(folder / f"{number:02d}.jpg", quality=88, optimize=True)
        print(f"{folder}: {number}")


if __name__ == "__main__":
    main()
