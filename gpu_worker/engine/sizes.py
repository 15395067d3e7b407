"""The size at which a picture is drawn, and that at which it is shown."""

import math

from PIL import Image

from gpu_worker.engine.base_model import BaseModel

LEAST_DISPLAY_SIDE = 384
"""Pixels: pictures of small bases are enlarged to this, for they would be stamps in a chat."""
LARGEST_AREA = 1.6
"""As a share of the base's own area: above it the family repeats its subject, so we draw smaller and enlarge."""


PAIR_ASPECT = 7 / 4
"""Of pictures of two for which no size was asked: each has a square of the base's own, and these overlap a little."""


def drawing_size(base: BaseModel, width: int | None, height: int | None, *, pair: bool = False) -> tuple[int, int]:
    """Return the size at which to draw a picture that is asked for at `width` by `height`.

    A picture much larger than the base's own is drawn at the base's area with the same aspect, then enlarged. Where
    two stand side by side, each has the base's area.
    """
    wide, high = _asked(base, width, height)
    if pair and width is None and height is None:
        wide = round(high * PAIR_ASPECT)
    own = base.resolution**2 * (PAIR_ASPECT if pair else 1.0)
    return whole(base, wide, high, math.sqrt(own / (wide * high)) if wide * high > LARGEST_AREA * own else 1.0)


def whole(base: BaseModel, width: float, height: float, scale: float) -> tuple[int, int]:
    """Return a size, scaled, in multiples of what the U-Net's levels need."""
    grain = base.size_multiple
    wide, high = (max(grain, round(side * scale / grain) * grain) for side in (width, height))
    return wide, high


def display_size(drawn: tuple[int, int], width: int | None, height: int | None) -> tuple[int, int]:
    """Return the size at which a picture is shown: that asked for; with none asked, enlarged when it is very small."""
    if width is None and height is None:
        enlarge = math.ceil(LEAST_DISPLAY_SIDE / min(drawn))
        return drawn[0] * enlarge, drawn[1] * enlarge
    return width or height or 0, height or width or 0


def for_display(picture: Image.Image) -> Image.Image:
    """Return a picture for which no size was asked at the size at which it is shown."""
    return resized(picture, display_size(picture.size, None, None))


def resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)


def _asked(base: BaseModel, width: int | None, height: int | None) -> tuple[int, int]:
    return width or height or base.resolution, height or width or base.resolution
