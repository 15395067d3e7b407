"""What a request's pictures are drawn on: a blank sheet, or one with a picture on it that is to be worked on.

Each tool comes down to three things: the sheet's size, what of the given picture lies on it, and what may change there.
What may not change is put back at the end as it was, pixel for pixel, for the autoencoder gives nothing back unharmed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.origins import Origin
from gpu_worker.engine.photos import to_pixels
from gpu_worker.engine.sizes import display_size, drawing_size, resized, whole
from storage.contract import ImagineRequest, Source, Tool

Size = tuple[int, int]

ENLARGED = 2
"""How many times as wide and high an upscaled picture is."""
FEATHER = 1 / 64
"""Of a mask's edge, as a share of the picture's shorter side: what is new goes over into what stays."""
MARGIN = 1 / 16
"""Of a picture on a larger canvas, as a share of its shorter side: so much of its edge is drawn anew with the rest."""


LARGEST_CANVAS = 4.0
"""As a share of the base's own area: a picture on a still larger canvas is drawn smaller than the base would alone."""


class PictureMissing(Exception):
    """The picture to be worked on, or its mask, cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A blank one, but for what subclasses lay on it. Sizes are (width, height) in pixels."""

    drawn: Size
    """What the base draws."""
    shown: Size
    """What the person sees."""
    strength: float = 1.0

    def origin(self, _base: BaseModel) -> Origin | None:
        return None

    def finish(self, drawn: Image.Image) -> Image.Image:
        """Return the picture as it is shown."""
        return resized(drawn, self.shown)


@dataclass(frozen=True, kw_only=True)
class Reworked(Sheet):
    laid: Callable[[Size], Image.Image]
    """The picture on a sheet of some size."""
    mask: Callable[[Size], Image.Image] | None = None
    """What may change of it, in white; None where all may."""

    def origin(self, base: BaseModel) -> Origin:
        latents, _ = base.encode_images(to_pixels(self.laid(self.drawn)).unsqueeze(0))
        if self.mask is None:
            return Origin(latents=latents[0], strength=self.strength)
        changing = to_pixels(self.mask(self.drawn))[:1] > 0  # [1, H, W]
        mask = F.max_pool2d(changing.float(), base.pixels_per_latent).to(base.device)
        return Origin(latents=latents[0], strength=self.strength, mask=mask)

    def finish(self, drawn: Image.Image) -> Image.Image:
        shown = super().finish(drawn)
        if self.mask is None:
            return shown
        feather = ImageFilter.GaussianBlur(min(self.shown) * FEATHER)
        return Image.composite(shown, self.laid(self.shown), self.mask(self.shown).filter(feather))


def sheet_for(base: BaseModel, request: ImagineRequest, picture: Path | None, mask: Path | None) -> Sheet:
    """Return what a request's pictures are drawn on. Raises `PictureMissing`."""
    drawn = drawing_size(base, request.width, request.height, pair=bool(request.subjects))
    shown = display_size(drawn, request.width, request.height)
    source = request.source
    if source is None:
        return Sheet(drawn=drawn, shown=shown)
    given = Given.at(picture)
    match source.tool:
        case Tool.VARY:
            return Reworked(drawn=drawn, shown=shown, strength=source.strength, laid=given.fitted)
        case Tool.UPSCALE:
            # Enlarged before it is encoded: enlarged latents decode to a grid where the autoencoder is small.
            larger, largest = _times(drawn, ENLARGED), _times(shown, ENLARGED)
            return Reworked(drawn=larger, shown=largest, strength=source.strength, laid=given.fitted)
        case Tool.INPAINT:
            painted = Given.at(mask)

            def changing(size: Size) -> Image.Image:
                white = painted.opened("L").point(lambda level: 255 * (level > 127))
                return ImageOps.fit(white.resize(given.size), size, Image.Resampling.NEAREST)

            return Reworked(drawn=drawn, shown=shown, strength=source.strength, laid=given.fitted, mask=changing)
        case Tool.OUTPAINT:
            return _outpainted(base, source, given, shown)


@dataclass(frozen=True)
class Given:
    """A picture in a file, which is read whenever it is needed: a request may wait long for its turn."""

    path: Path
    size: Size

    @classmethod
    def at(cls, path: Path | None) -> Self:
        """Raises `PictureMissing`."""
        if path is None:
            raise PictureMissing("the order names a picture but brings none")
        try:
            with Image.open(path) as picture:
                return cls(path, picture.size)
        except (OSError, Image.DecompressionBombError) as problem:
            raise PictureMissing(f"{path.name} cannot be read") from problem

    def opened(self, mode: str = "RGB") -> Image.Image:
        """Raises `PictureMissing`."""
        try:
            with Image.open(self.path) as picture:
                return picture.convert(mode)
        except OSError as problem:
            raise PictureMissing(f"{self.path.name} cannot be read") from problem

    def fitted(self, size: Size) -> Image.Image:
        """Lay all of a sheet over with it, cut where the shapes differ."""
        return ImageOps.fit(self.opened(), size, Image.Resampling.LANCZOS)


def _outpainted(base: BaseModel, source: Source, given: Given, canvas: Size) -> Reworked:
    """Lay the picture into the middle of a canvas, as large as both allow; there it is drawn at the base's own size."""

    def within(size: Size) -> Size:
        scale = min(size[0] / given.size[0], size[1] / given.size[1])
        return round(given.size[0] * scale), round(given.size[1] * scale)

    def laid(size: Size) -> Image.Image:
        middle = given.opened().resize(within(size), Image.Resampling.LANCZOS)
        left, top = _corner(size, middle.size)
        rest = size[0] - left - middle.width, size[1] - top - middle.height
        edges = ((top, rest[1]), (left, rest[0]), (0, 0))
        sheet = Image.fromarray(np.pad(np.asarray(middle), edges, mode="edge"))  # what goes on has the edge's colours
        sheet = sheet.filter(ImageFilter.GaussianBlur(min(size) * MARGIN))
        sheet.paste(middle, (left, top))
        return sheet

    def changing(size: Size) -> Image.Image:
        mask, stays = Image.new("L", size, 255), within(size)
        left, top = _corner(size, stays)
        inset = round(min(stays) * MARGIN)
        x, y = (inset if edge else 0 for edge in (left, top))  # where picture and canvas end together, nothing changes
        ImageDraw.Draw(mask).rectangle((left + x, top + y, left + stays[0] - x - 1, top + stays[1] - y - 1), fill=0)
        return mask

    own, inner = base.resolution**2, within(canvas)
    area = min(own * canvas[0] * canvas[1] / (inner[0] * inner[1]), own * LARGEST_CANVAS)
    drawn = whole(base, *canvas, math.sqrt(area / (canvas[0] * canvas[1])))
    return Reworked(drawn=drawn, shown=canvas, strength=source.strength, laid=laid, mask=changing)


def _corner(sheet: Size, picture: Size) -> Size:
    """Return the upper left corner of a picture in the middle of a sheet."""
    return (sheet[0] - picture[0]) // 2, (sheet[1] - picture[1]) // 2


def _times(size: Size, factor: int) -> Size:
    return size[0] * factor, size[1] * factor
