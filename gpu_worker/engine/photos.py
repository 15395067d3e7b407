"""Photos -> training views: several crops of each photo, plain and mirrored. Nothing is ever squeezed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from storage.contract import Box
from storage.crops import Size, windows


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


def views_of(photo: Image.Image, size: Size, subject: Box | None = None, *, flip: bool = True) -> Tensor:
    """Return all training views of one photo as pixels [K, 3, H, W] in -1..1; K is the same for every photo.

    `subject` is where the photo shows it; without one the crops lie around the photo's middle.
    """
    return torch.stack([to_pixels(view) for view in _cut(photo, size, subject, Image.Resampling.LANCZOS, flip=flip)])


def emphasis_of(photo: Image.Image, size: Size, subject: Box | None, background: float) -> Tensor:
    """Return how much each part of the views counts, [K, 1, H, W] with mean 1 each; ones without a subject.

    What lies outside the subject's box counts `background` times as much as what lies inside.
    """
    mask = Image.new("F", photo.size, 1.0 if subject is None else background)
    if subject is not None:
        mask.paste(1.0, (subject.left, subject.top, subject.right, subject.bottom))
    views = [np.asarray(view) for view in _cut(mask, size, subject, Image.Resampling.BOX, flip=True)]
    shares = torch.from_numpy(np.stack(views)).unsqueeze(1)
    return shares / shares.mean((1, 2, 3), keepdim=True)


def _cut(
    photo: Image.Image, size: Size, subject: Box | None, resampling: Image.Resampling, *, flip: bool
) -> list[Image.Image]:
    found = windows(*photo.size, subject, size[0] / size[1])
    crops = [photo.resize(size, resampling, box=window.box) for window in found]
    return crops + [crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for crop in crops] if flip else crops


def to_pixels(image: Image.Image) -> Tensor:
    """Return an RGB image as [3, H, W] in -1..1."""
    array = np.asarray(image.convert("RGB"), dtype=np.float32)
    return torch.from_numpy(array).permute(2, 0, 1) / 127.5 - 1


def to_image(pixels: Tensor) -> Image.Image:
    """Return pixels [3, H, W] in 0..1 as an image."""
    array = (pixels.permute(1, 2, 0) * 255).round().to("cpu", torch.uint8).numpy()
    return Image.fromarray(array)
