"""The size at which a picture is drawn, and that at which it is shown."""

import math

from PIL import Image

from gpu_worker.engine.base_model import BaseModel

LEAST_DISPLAY_SIDE = 384
"""Pixels: pictures of small bases are enlarged to this, for they would be stamps in a chat."""
LARGEST_AREA = 1.6
"""As a share of the base's own area: above it the family repeats its subject, so we draw smaller and enlarge."""


def drawing_size(base: BaseModel, width: int | None, height: int | None) -> tuple[int, int]:
    """Return the size at which to draw a picture that is asked for at `width` by `height`.

    A picture much larger than the base's own is drawn at the base's area with the same aspect, then enlarged.
    """
    wide, high = _asked(base, width, height)
    own = base.resolution**2
    shrink = math.sqrt(own / (wide * high)) if wide * high > LARGEST_AREA * own else 1.0
    grain = base.size_multiple

    def whole(side: float) -> int:
        return max(grain, round(side * shrink / grain) * grain)

    return whole(wide), whole(high)


def for_display(base: BaseModel, picture: Image.Image, width: int | None, height: int | None) -> Image.Image:
    """Return the picture at the size that was asked for; with none asked, enlarged when it is very small."""
    wide, high = picture.size if width is None and height is None else _asked(base, width, height)
    if width is None and height is None:
        enlarge = math.ceil(LEAST_DISPLAY_SIDE / min(wide, high))
        wide, high = wide * enlarge, high * enlarge
    return picture if picture.size == (wide, high) else picture.resize((wide, high), Image.Resampling.LANCZOS)


def _asked(base: BaseModel, width: int | None, height: int | None) -> tuple[int, int]:
    return width or height or base.resolution, height or width or base.resolution
