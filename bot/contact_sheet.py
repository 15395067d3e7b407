"""The picture of what will be trained on: each photo's square, numbered, and in it how near the closer crops come."""

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bot.photo_checks import Look, look_at
from storage.contract import SubjectKind
from storage.crops import windows

CELL, GAP = 240, 8
"""Pixels: a cell's side, and what lies between two."""
MOST_IN_A_ROW = 4
BADGE = 34


@dataclass(frozen=True)
class Sight:
    """One photo as it was seen when it came in: what can be told of it, and its square."""

    look: Look
    square: Image.Image


def see(png: bytes, kind: SubjectKind) -> Sight:
    """Look at a photo that the decoding process has made clean."""
    with Image.open(io.BytesIO(png), formats=("PNG",)) as photo:
        look = look_at(np.asarray(photo.convert("RGB")), kind)
        return Sight(look, draw_square(photo.convert("RGB"), look))


def draw_square(photo: Image.Image, look: Look) -> Image.Image:
    """Cut out the largest square that is trained on; a frame in it shows where the closer ones lie."""
    largest, *_, first_close, second, third, last = windows(*photo.size, look.subject)
    cell = photo.resize((CELL, CELL), Image.Resampling.LANCZOS, box=largest.box)
    close = (first_close, second, third, last)
    left = sum(window.left for window in close) / len(close) - largest.left
    top = sum(window.top for window in close) / len(close) - largest.top
    scale = CELL / largest.width
    frame = [edge * scale for edge in (left, top, left + last.width, top + last.height)]
    pen = ImageDraw.Draw(cell)
    pen.rectangle([round(edge) for edge in frame], outline=(0, 0, 0), width=3)
    pen.rectangle([round(edge) + inset for edge, inset in zip(frame, (1, 1, -1, -1), strict=True)], outline="white")
    return cell


def draw_sheet(cells: Mapping[int, Image.Image]) -> bytes:
    """Lay numbered squares out in rows; returns a JPEG."""
    rows = math.ceil(len(cells) / MOST_IN_A_ROW)
    in_a_row = math.ceil(len(cells) / rows)
    size = in_a_row * (CELL + GAP) - GAP, rows * (CELL + GAP) - GAP
    sheet = Image.new("RGB", size, (43, 45, 49))
    font = ImageFont.load_default(BADGE * 0.6)
    pen = ImageDraw.Draw(sheet)
    for place, (number, cell) in enumerate(sorted(cells.items())):
        left, top = (place % in_a_row) * (CELL + GAP), (place // in_a_row) * (CELL + GAP)
        sheet.paste(cell, (left, top))
        pen.rectangle((left, top, left + BADGE, top + BADGE), fill=(20, 20, 20))
        pen.text((left + BADGE / 2, top + BADGE / 2), str(number), fill="white", font=font, anchor="mm")
    packed = io.BytesIO()
    sheet.save(packed, "JPEG", quality=88)
    return packed.getvalue()
