"""The base model's short name, by which the bot and its workers find each other's queues, and the sizes it draws in."""

import re
from enum import StrEnum
from math import log
from pathlib import PurePath

from storage.crops import Size, buckets

DEMO = "demo"
"""The small base model that ships with the worker."""


def base_name(base_model: str) -> str:
    """Derive the name that stands in queue names from the setting `BASE_MODEL`: `demo`, a folder or a hub id.

    A folder is known by its last part alone, since the bot and its workers may keep it in different places. Raises
    `ValueError` when nothing of the setting can stand in a name.
    """
    text = base_model.strip()
    if text.startswith((".", "/", "~")):
        text = PurePath(text).name
    name = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:64]
    if not name:
        raise ValueError(f"{base_model!r} names no base model; give demo, a folder or a hub id")
    return name


class Shape(StrEnum):
    """Aspect ratios by name."""

    SQUARE = "square"
    PORTRAIT = "portrait"
    LANDSCAPE = "landscape"
    UPRIGHT = "upright"
    PHOTO = "photo"
    PHONE = "phone"
    WIDE = "wide"


SIXTEENTHS = {
    Shape.PORTRAIT: (16, 24),
    Shape.LANDSCAPE: (24, 16),
    Shape.UPRIGHT: (15, 20),
    Shape.PHOTO: (20, 15),
    Shape.PHONE: (13.5, 24),
    Shape.WIDE: (24, 13.5),
}
"""Width and height in sixteenths of a base's side: 2:3, 3:4 and 9:16, upright and lying."""


LARGEST_SIDE = 2048
"""Pixels of a picture that can be asked for."""


def shapes(base: str) -> tuple[Shape, ...]:
    """Return the shapes that a base draws well: the demo base has only ever seen squares."""
    return (Shape.SQUARE,) if base == DEMO else tuple(Shape)


def picture_size(base: str, shape: Shape) -> tuple[int, int] | tuple[None, None]:
    """Return width and height in pixels, multiples of eight; the worker knows the square.

    Raises `ValueError` when the base does not draw this shape.
    """
    if shape not in shapes(base):
        raise ValueError(f"{base} does not draw {shape}")
    if shape is Shape.SQUARE:
        return None, None
    side, (width, height) = native_side(base), SIXTEENTHS[shape]
    return int(side * width / 16), int(side * height / 16)


def shape_near(base: str, width: int, height: int) -> Shape:
    """Return the shape, among those that a base draws, that is nearest to a picture's own."""

    def distance(shape: Shape) -> float:
        across, down = SIXTEENTHS.get(shape, (16, 16))
        return abs(log(width / height * down / across))

    return min(shapes(base), key=distance)


def around(shape: Shape, width: int, height: int) -> tuple[int, int]:
    """Return the smallest size of a shape that holds a picture, in multiples of eight and at most `LARGEST_SIDE`."""
    across, down = SIXTEENTHS.get(shape, (16, 16))
    return askable(max(width, height * across / down), max(height, width * down / across))


def askable(width: float, height: float) -> tuple[int, int]:
    """Return the size nearest to this one that a picture can be asked for at."""
    fits = min(1.0, LARGEST_SIDE / max(width, height))
    return round(width * fits / 8) * 8, round(height * fits / 8) * 8


def shape_of(base: str, width: int | None, height: int | None) -> Shape:
    """Return the shape that has this size; the square for one that none has."""
    return next((shape for shape in shapes(base) if picture_size(base, shape) == (width, height)), Shape.SQUARE)


def training_sides(base: str) -> tuple[int, ...]:
    """Return the sides in pixels that photos can be trained at: half of what the base was trained at, up to all of it.

    The steps are those in which the levels of the family's U-Net line up.
    """
    side, grain = native_side(base), 16 if base == DEMO else 64
    return tuple(range(side // 2, side + 1, grain))


def photo_sizes(base: str) -> list[Size]:
    """Return the sizes that photos are trained at unless another side is asked for; of the demo base, the square."""
    side = native_side(base)
    return [(side, side)] if base == DEMO else buckets(side, 64)


def usual_rates(base: str) -> tuple[float, float]:
    """Return the lowest and the highest learning rate at which a LoRA on the base learns something, and no nonsense."""
    return (1e-4, 3e-2) if base == DEMO else (1e-6, 3e-3)


def native_side(base: str) -> int:
    """Return the side in pixels that a base of the Stable Diffusion family was trained at, as far as its name tells.

    What was made of Stable Diffusion XL has an XL in its name, such as `sdxl-base` or `realvisxl-v4.0`.
    """
    if base == DEMO:
        return 64
    if re.search(r"xl(?![a-z])", base):
        return 1024
    return 768 if re.search(r"stable-diffusion-2(-1)?$", base) else 512
