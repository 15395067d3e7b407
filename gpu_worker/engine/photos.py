"""Photos -> training views: several square crops of each photo, plain and mirrored, with the aspect kept.

A square crop out of the middle, crops shifted to both ends of the longer side, and slightly closer ones: the subject is
seen at several places and sizes, so that training cannot tie it to one. Nothing is ever squeezed.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

CLOSER = 0.88
"""Side of the closer crops as a share of the photo's shorter side; a subject in the middle loses no head at this."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


class PhotoMissing(Exception):
    """A photo is not where it should be, or cannot be read."""


def load_photos(paths: Sequence[Path]) -> list[Image.Image]:
    """Open the photos, upright whatever way the camera was held. Raises `PhotoMissing`."""
    photos = []
    for path in paths:
        try:
            with Image.open(path) as opened:
                photos.append(ImageOps.exif_transpose(opened).convert("RGB"))
        except OSError as problem:
            raise PhotoMissing(f"{path.name} cannot be read") from problem
    return photos


def views_of(photo: Image.Image, size: int, *, flip: bool = True) -> Tensor:
    """Return all training views of one photo as pixels [K, 3, size, size] in -1..1; K is the same for every photo."""
    crops = [photo.resize((size, size), Image.Resampling.LANCZOS, box=box) for box in square_boxes(*photo.size)]
    if flip:
        crops += [crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for crop in crops]
    return torch.stack([to_pixels(crop) for crop in crops])


def square_boxes(width: int, height: int) -> list[Box]:
    """Return the crops: the middle, both ends of the longer side, and four closer ones around the middle."""
    side = float(min(width, height))
    spare_x, spare_y = width - side, height - side
    wide = [_box(spare_x * at, spare_y * at, side) for at in (0.5, 0.25, 0.75)]
    close = side * CLOSER
    spare = (side - close) / 2
    middle_x, middle_y = spare_x / 2, spare_y / 2
    corners = [(x, y) for y in (0.5, 1.5) for x in (0.5, 1.5)]
    return wide + [_box(middle_x + spare * x, middle_y + spare * y, close) for x, y in corners]


def _box(left: float, top: float, side: float) -> Box:
    return (left, top, left + side, top + side)


def to_pixels(image: Image.Image) -> Tensor:
    """Return an RGB image as [3, H, W] in -1..1."""
    array = np.asarray(image.convert("RGB"), dtype=np.float32)
    return torch.from_numpy(array).permute(2, 0, 1) / 127.5 - 1


def to_image(pixels: Tensor) -> Image.Image:
    """Return pixels [3, H, W] in 0..1 as an image."""
    array = (pixels.permute(1, 2, 0) * 255).round().to("cpu", torch.uint8).numpy()
    return Image.fromarray(array)
