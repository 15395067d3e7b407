"""The scene composer: dressed drawings set into procedural places, each with its caption.

A scene is a pure function of its seed. `python -m tools.demo_model.compose` fills a folder with training scenes.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from tools.demo_model import art, captions, coats, places
from tools.demo_model.art import Art, Pixels
from tools.demo_model.coats import Coat

SIZE = 64
FACES = frozenset(art.CLASSES) - {"car", "rocket"}  # what can wear a hat
CHUNK = 1000


@dataclass(frozen=True)
class Individual:
    """One particular dog, car, ...: a drawing in a coat, the same in every scene that it is in."""

    noun: str
    drawing: Art
    coat: Coat
    hat: Art | None = None


class Pose(NamedTuple):
    """Where an individual stands: middle and foot, and its size, as shares of the picture; degrees; mirrored or not."""

    x: float
    foot: float
    size: float
    turn: float
    mirrored: bool


@dataclass(frozen=True)
class Scene:
    """A picture with its caption. `mask` is where the subject is; `place` is "plain" where there is none."""

    image: Image.Image
    mask: Image.Image
    caption: str
    place: str
    nouns: tuple[str, ...]


class Label(TypedDict):
    """What the labels file says of a scene."""

    caption: str
    place: str
    nouns: list[str]


class Studio:
    """Draws scenes of `size` x `size` pixels from the art in `folder`."""

    def __init__(self, folder: Path = art.CACHE, size: int = SIZE) -> None:
        self.folder = folder
        self.size = size
        self._drawings: dict[Art, Pixels] = {}

    @cached_property
    def _hats(self) -> list[tuple[str, Art]]:
        return [(word, hat) for word, hats in art.HATS.items() for hat in hats]

    def drawing(self, source: Art) -> Pixels:
        """Return the art at the size that scenes of this studio need, rendered once."""
        if source not in self._drawings:
            self._drawings[source] = art.render(self.folder, source, max(96, self.size))
        return self._drawings[source]

    def sprite(self, who: Individual) -> Image.Image:
        """Return the individual as RGBA, in its build and with its hat on."""
        pixels = coats.dress(self.drawing(who.drawing), who.coat)
        body = Image.fromarray((pixels * 255).round().astype(np.uint8), "RGBA")
        body = body.resize((max(1, round(body.width * who.coat.build)), body.height), Image.Resampling.LANCZOS)
        if who.hat is None:
            return body
        hat = Image.fromarray((self.drawing(who.hat) * 255).astype(np.uint8), "RGBA")
        width = round(body.width * 0.56)
        hat = hat.resize((width, round(width * hat.height / hat.width)), Image.Resampling.LANCZOS)
        rise = round(hat.height * 0.62)
        dressed = Image.new("RGBA", (body.width, body.height + rise))
        dressed.alpha_composite(body, (0, rise))
        dressed.alpha_composite(hat, ((body.width - width) // 2, 0))
        return dressed

    def background(self, rng: np.random.Generator, place: str, backdrop: str) -> Image.Image:
        """Draw a place, or the plain `backdrop` colour."""
        canvas = places.Canvas(self.size, rng)
        if place == "plain":
            places.plain(canvas, backdrop)
        else:
            places.PLACES[place](canvas)
        return canvas.image()

    def put(self, picture: Image.Image, mask: Image.Image, sprite: Image.Image, pose: Pose, *, shadow: bool) -> None:
        """Set a sprite into the picture, with its shadow on the ground, and its outline into the mask."""
        if pose.mirrored:
            sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        scale = pose.size * self.size / max(sprite.size)
        sprite = sprite.resize(
            (max(1, round(sprite.width * scale)), max(1, round(sprite.height * scale))), Image.Resampling.LANCZOS
        )
        sprite = sprite.rotate(pose.turn, Image.Resampling.BICUBIC, expand=True)
        left, top = round(pose.x * self.size - sprite.width / 2), round(pose.foot * self.size - sprite.height)
        if shadow:
            dark = Image.new("L", picture.size)
            half, foot = sprite.width * 0.42, pose.foot * self.size
            ImageDraw.Draw(dark).ellipse(
                [pose.x * self.size - half, foot - half * 0.26, pose.x * self.size + half, foot + half * 0.16], fill=90
            )
            picture.paste((20, 20, 30), (0, 0), dark.filter(ImageFilter.GaussianBlur(self.size / 48)))
        picture.paste(sprite, (left, top), sprite)
        mask.paste(255, (left, top), sprite.getchannel("A"))

    def pose(self, rng: np.random.Generator, place: str, low: float, high: float, x: tuple[float, float]) -> Pose:
        """Draw a pose: on the ground where the place has one, anywhere in the middle where it floats."""
        size = float(rng.uniform(low, high))
        middle = 0.5 + size / 2
        foot = rng.uniform(middle - 0.06, middle + 0.1) if place in places.FLOATING else rng.uniform(0.84, 0.96)
        return Pose(float(rng.uniform(*x)), float(foot), size, float(rng.normal(0, 4)), bool(rng.random() < 0.5))

    def portrait(self, sprite: Image.Image, place: str, seed: int) -> Image.Image:
        """Draw one individual, given as its sprite, alone in a place: a person's photo of their subject."""
        rng = np.random.default_rng(seed)
        picture = self.background(rng, place, str(rng.choice(list(coats.PALETTE))))
        pose = self.pose(rng, place, 0.56, 0.8, (0.36, 0.64))
        self.put(picture, Image.new("L", picture.size), sprite, pose, shadow=place not in places.FLOATING)
        return picture

    def scene(self, seed: int) -> Scene:
        """Draw the training scene with this number."""
        rng = np.random.default_rng([20, seed])
        place = str(rng.choice(list(places.PLACES))) if rng.random() < 0.86 else "plain"
        backdrop = str(rng.choice(list(coats.PALETTE)))
        picture = self.background(rng, place, backdrop)
        mask = Image.new("L", picture.size)
        looks = self._pair(rng, picture, mask, place) if rng.random() < 0.1 else self._single(rng, picture, mask, place)
        beside = self._thing(rng, picture, place) if len(looks) == 1 and rng.random() < 0.08 else None
        plain = place == "plain"
        text = captions.caption(rng, looks, None if plain else place, backdrop if plain else None, beside)
        return Scene(picture, mask, text, place, tuple(look.noun for look in looks))

    def _anyone(self, rng: np.random.Generator, noun: str) -> tuple[Individual, captions.Looks]:
        sources = art.TRAINING[noun]
        coat = coats.random_coat(rng, recoloured=0.32, patterned=0.24)
        word, hat = self._hats[int(rng.integers(len(self._hats)))]
        wears = noun in FACES and rng.random() < 0.08
        who = Individual(noun, sources[int(rng.integers(len(sources)))], coat, hat if wears else None)
        return who, captions.Looks(noun, coat.colour, coat.pattern, word if wears else None)

    def _single(
        self, rng: np.random.Generator, picture: Image.Image, mask: Image.Image, place: str
    ) -> list[captions.Looks]:
        who, looks = self._anyone(rng, str(rng.choice(list(art.CLASSES))))
        pose = self.pose(rng, place, 0.52, 0.82, (0.34, 0.66))
        self.put(picture, mask, self.sprite(who), pose, shadow=place not in places.FLOATING)
        return [looks]

    def _pair(
        self, rng: np.random.Generator, picture: Image.Image, mask: Image.Image, place: str
    ) -> list[captions.Looks]:
        looks = []
        for noun, side in zip(rng.choice(list(art.CLASSES), 2, replace=False), (0.27, 0.73), strict=True):
            who, look = self._anyone(rng, str(noun))
            pose = self.pose(rng, place, 0.42, 0.5, (side - 0.03, side + 0.03))
            self.put(picture, mask, self.sprite(who), pose, shadow=place not in places.FLOATING)
            looks.append(look)
        return looks

    def _thing(self, rng: np.random.Generator, picture: Image.Image, place: str) -> str:
        word = str(rng.choice(list(art.THINGS)))
        drawing = self.drawing(art.THINGS[word][int(rng.integers(len(art.THINGS[word])))])
        sprite = Image.fromarray((drawing * 255).astype(np.uint8), "RGBA")
        pose = self.pose(rng, place, 0.24, 0.32, (0.14, 0.18) if rng.random() < 0.5 else (0.82, 0.86))
        self.put(picture, Image.new("L", picture.size), sprite, pose, shadow=place not in places.FLOATING)
        return word


def _chunk(folder: Path, first: int) -> tuple[npt.NDArray[np.uint8], list[Label]]:
    studio = Studio(folder)
    pixels = np.empty((CHUNK, SIZE, SIZE, 4), np.uint8)
    labels: list[Label] = []
    for index in range(CHUNK):
        scene = studio.scene(first + index)
        pixels[index, ..., :3], pixels[index, ..., 3] = np.asarray(scene.image), np.asarray(scene.mask)
        labels.append({"caption": scene.caption, "place": scene.place, "nouns": list(scene.nouns)})
    return pixels, labels


def write_scenes(folder: Path, art_folder: Path, count: int, workers: int) -> None:
    """Write `count` scenes: pixels.npy ([n, 64, 64, 4] uint8, the subject's mask last) and labels.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = (count, SIZE, SIZE, 4)
    pixels = np.lib.format.open_memmap(folder / "pixels.npy", mode="w+", dtype=np.uint8, shape=shape)
    with ProcessPoolExecutor(workers) as pool, (folder / "labels.jsonl").open("w", encoding="utf-8") as lines:
        starts = range(0, count, CHUNK)
        for start, (part, labels) in zip(starts, pool.map(partial(_chunk, art_folder), starts), strict=True):
            pixels[start : start + CHUNK] = part
            lines.writelines(json.dumps(label) + "\n" for label in labels)


def read_scenes(folder: Path) -> tuple[npt.NDArray[np.uint8], list[Label]]:
    """Return the pixels and the labels that `write_scenes` wrote."""
    lines = (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    return np.load(folder / "pixels.npy"), [json.loads(line) for line in lines]


def main() -> None:
    """Fill a folder with training scenes."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cache", type=Path, default=art.CACHE, help="the art (default %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("build/demo_model/scenes"))
    parser.add_argument("--count", type=int, default=60_000, help="a multiple of 1000 (default %(default)s)")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    write_scenes(options.out, options.cache, options.count, options.workers)
    print(f"{options.count} scenes in {options.out}")


if __name__ == "__main__":
    main()
