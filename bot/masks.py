"""Which part of a picture is drawn anew: told by a region's name, by a mask, or by a copy that was painted over.

Pure functions over encoded pictures. A mask is as wide to its height as its picture, white where it is drawn anew.
"""

import io
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bot.crops import SIDE as LOOKED_AT
from bot.crops import Mask, Pixels, find_subject, shrink
from bot.display import FORMATS
from storage.contract import SubjectKind
from storage.errors import UserError

SIDE = 512
"""Pixels along a mask's longer side: its edges are feathered anyway."""
OTHER_SHAPE = 0.06
"""By how much of it the proportions of a painted picture may differ: a phone's editor cuts off a row here and there."""
BLACK, WHITE, GREY_SHARE, COLOURLESS = 60, 195, 0.04, 24
"""What is neither in a mask are its edges, and how far the channels of a pixel of it may be apart."""
CHANGED = 48.0
"""Of 255: paint differs more than that from what it covers, and JPEG's traces less."""
LEAST, MOST = 0.002, 0.97
"""Shares of a picture: less is a slip of the finger, and more leaves nothing."""
ROOM = 0.04
"""What is left around the subject when all but it is drawn anew, as a share of the picture's longer side."""


class Region(StrEnum):
    BACKGROUND = "background"
    LEFT = "left"
    RIGHT = "right"
    TOP = "top"
    BOTTOM = "bottom"
    MIDDLE = "middle"


HALVES = {
    Region.LEFT: (0, 0, 1 / 2, 1),
    Region.RIGHT: (1 / 2, 0, 1, 1),
    Region.TOP: (0, 0, 1, 1 / 2),
    Region.BOTTOM: (0, 1 / 2, 1, 1),
    Region.MIDDLE: (1 / 4, 1 / 4, 3 / 4, 3 / 4),
}
"""Left, top, right and bottom, as shares of the picture."""


class MaskProblem(StrEnum):
    """`bot/rework_text.py` says what to do about each."""

    NOWHERE = "nowhere"
    """Neither a region nor a picture was given."""
    OTHER_SHAPE = "other shape"
    ALL_BLACK = "all black"
    ALL_WHITE = "all white"
    UNCHANGED = "unchanged"
    ALL_CHANGED = "all changed"
    NO_SUBJECT = "no subject"


class MaskUnclear(UserError):
    def __init__(self, problem: MaskProblem) -> None:
        super().__init__(problem)
        self.problem = problem


def region_mask(region: Region, picture: bytes, kind: SubjectKind | None) -> bytes:
    """Return the mask of a region as a PNG; `kind` is what the picture is of. Raises `MaskUnclear`."""
    pixels = _decoded(picture)
    if region is Region.BACKGROUND:
        return _png(_behind(pixels, kind or SubjectKind.OBJECT))
    left, top, right, bottom = HALVES[region]
    height, width = _small(pixels).shape[:2]
    mask = np.zeros((height, width), dtype=bool)
    mask[round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = True
    return _png(mask)


def painted_mask(painted: bytes, picture: bytes) -> bytes:
    """Return what a person painted on a picture as a PNG. Raises `MaskUnclear`."""
    paint, pixels = _decoded(painted), _small(_decoded(picture))
    height, width = pixels.shape[:2]
    if abs(paint.shape[1] / paint.shape[0] * height / width - 1) > OTHER_SHAPE:
        raise MaskUnclear(MaskProblem.OTHER_SHAPE)
    paint = np.asarray(cv2.resize(paint, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if _black_and_white(paint) and not _black_and_white(pixels):
        mask = np.asarray(paint.max(-1) > 127)
        _check(mask, MaskProblem.ALL_BLACK, MaskProblem.ALL_WHITE)
    else:
        mask = _painted_over(paint, pixels)
        _check(mask, MaskProblem.UNCHANGED, MaskProblem.ALL_CHANGED)
    return _png(mask)


def _check(mask: Mask, too_little: MaskProblem, too_much: MaskProblem) -> None:
    share = float(mask.mean())
    if not LEAST <= share <= MOST:
        raise MaskUnclear(too_little if share < LEAST else too_much)


def _black_and_white(pixels: Pixels) -> bool:
    spread = pixels.max(-1).astype(int) - pixels.min(-1)
    level = pixels.max(-1)
    grey = (level > BLACK) & (level < WHITE)
    return bool((grey | (spread > COLOURLESS)).mean() < GREY_SHARE)


def _painted_over(paint: Pixels, pixels: Pixels) -> Mask:
    """Return where the two differ, without specks; what a line goes all around belongs to it."""
    difference = np.abs(_soft(paint) - _soft(pixels)).max(-1)
    changed = np.asarray(difference > CHANGED, dtype=np.uint8)
    clean = cv2.morphologyEx(changed, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    outlines, _ = cv2.findContours(clean, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(changed)
    cv2.drawContours(filled, outlines, -1, 1, thickness=cv2.FILLED)
    return np.asarray(filled > 0)


def _behind(pixels: Pixels, kind: SubjectKind) -> Mask:
    """Return all but the subject and a little room around it."""
    found = find_subject(pixels, kind)
    if found is None:
        raise MaskUnclear(MaskProblem.NO_SUBJECT)
    subject = np.zeros(found.region.shape, dtype=np.uint8)
    points = np.argwhere(found.region)[:, ::-1].astype(np.int32)
    cv2.fillConvexPoly(subject, cv2.convexHull(points), 1)
    room = 1 + 2 * round(LOOKED_AT * ROOM)
    kept = cv2.dilate(subject, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (room, room)))
    height, width = _small(pixels).shape[:2]
    mask = np.asarray(cv2.resize(kept, (width, height), interpolation=cv2.INTER_NEAREST) == 0)
    _check(mask, MaskProblem.NO_SUBJECT, MaskProblem.NO_SUBJECT)
    return mask


def _soft(pixels: Pixels) -> NDArray[Any]:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 1.0), dtype=np.float32)


def _small(pixels: Pixels) -> Pixels:
    return shrink(pixels, SIDE)


def _decoded(picture: bytes) -> Pixels:
    """Raises `ValueError` when the bytes are no picture that a worker or the decoding process makes."""
    try:
        with Image.open(io.BytesIO(picture), formats=FORMATS) as opened:
            return np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise ValueError("not a picture") from error


def _png(mask: Mask) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255, "L").save(packed, "PNG")
    return packed.getvalue()
