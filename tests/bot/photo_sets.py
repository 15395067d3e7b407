"""Sets of photos as people send them: real ones, the sample photos that ship with the project, and both made bad."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from bot.crops import SIDE, Pixels, shrink, stands_out
from tests.bot.photos import DREAMBENCH

SAMPLES = Path(__file__).parents[2] / "gpu_worker" / "demo_bundle" / "photos"
SHIPPED = ("comet", "luna", "rex")
REAL = (
    "backpack_dog", "bear_plushie", "cat2", "dog", "dog6", "rc_car", "red_cartoon", "robot_toy", "shiny_sneaker",
    "teapot", "vase", "wolf_plushie",
)  # fmt: skip


@cache
def photos_of(subject: str) -> tuple[Image.Image, ...]:
    """Skips the test where the subject's photos are absent."""
    files = sorted((SAMPLES / subject / "train" if subject in SHIPPED else DREAMBENCH / subject).glob("*.jpg"))
    if not files:
        pytest.skip("the DreamBench photos are not beside the project")
    return tuple(Image.open(file).convert("RGB") for file in files)


def pixels(photo: Image.Image) -> Pixels:
    return np.asarray(photo.convert("RGB"))


def blurred(photo: Image.Image) -> Image.Image:
    """As if the camera had focused on something else."""
    return photo.filter(ImageFilter.GaussianBlur(0.008 * max(photo.size)))


def shaken(photo: Image.Image) -> Image.Image:
    """As if the camera had moved sideways by 2 % of the picture."""
    steps = round(0.02 * photo.width)
    moved = [np.roll(np.asarray(photo, dtype=np.float32), step, axis=1) for step in range(steps)]
    return Image.fromarray(np.mean(moved, axis=0).astype(np.uint8))


def dark(photo: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(photo).enhance(0.2)


def blown_out(photo: Image.Image) -> Image.Image:
    return photo.point(lambda value: min(255, 4 * value + 60))


def small(photo: Image.Image) -> Image.Image:
    return photo.resize((300, 300 * photo.height // photo.width))


def again(photo: Image.Image) -> Image.Image:
    """The next picture of a burst: a little brighter, turned and nearer."""
    width, height = photo.size
    turned = ImageEnhance.Brightness(photo.rotate(1.5, Image.Resampling.BICUBIC)).enhance(1.15)
    return turned.crop((round(0.03 * width), round(0.03 * height), round(0.98 * width), round(0.98 * height)))


def cut_off(photo: Image.Image) -> Image.Image:
    """Without the upper half of the subject."""
    rows = np.flatnonzero(stands_out(shrink(pixels(photo), SIDE)).any(1)) * max(photo.size) / SIDE
    return photo.crop((0, int(rows[0] + 0.45 * (rows[-1] - rows[0])), *photo.size))


def views(photo: Image.Image) -> Sequence[Image.Image]:
    """One photo from slightly different places."""
    width, height = photo.size
    corners = [(0.0, 0.0), (0.16, 0.0), (0.0, 0.16), (0.16, 0.16)]
    return [
        photo.crop((round(x * width), round(y * height), round((x + 0.84) * width), round((y + 0.84) * height)))
        for x, y in corners
    ]
