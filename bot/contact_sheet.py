"""The picture of what will be trained on: each photo's crop, numbered, and in it how near the closer crops come."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bot.photo_checks import Look, look_at
from storage.contract import Box, SubjectKind
from storage.crops import Size, bucket_for, windows

CELL, GAP = 240, 8
"""Pixels: a cell's side, and what lies between two."""
BEHIND = (43, 45, 49)
MOST_IN_A_ROW = 4
BADGE = 34


@dataclass(frozen=True)
class Sight:
    """One photo as it was seen when it came in: what can be told of it, and its cell of the sheet."""

    look: Look
    cell: Image.Image


def see(png: bytes, kind: SubjectKind, sizes: Sequence[Size]) -> Sight:
    """Look at a photo that the decoding process has made clean; `sizes` are those that the base is trained at."""
    with Image.open(io.BytesIO(png), formats=("PNG",)) as photo:
        look = look_at(np.asarray(photo.convert("RGB")), kind)
        return Sight(look, draw_cell(photo.convert("RGB"), look.subject, sizes))


def draw_cell(photo: Image.Image, subject: Box | None, sizes: Sequence[Size]) -> Image.Image:
    """Cut out the largest crop that is trained on; a frame in it shows where the closer ones lie."""
    width, height = bucket_for(*photo.size, subject, sizes)
    largest, *_, first_close, second, third, last = windows(*photo.size, subject, width / height)
    scale = CELL / max(largest.width, largest.height)
    shown = round(largest.width * scale), round(largest.height * scale)
    crop = photo.resize(shown, Image.Resampling.LANCZOS, box=largest.box)
    close = (first_close, second, third, last)
    left = sum(window.left for window in close) / len(close) - largest.left
    top = sum(window.top for window in close) / len(close) - largest.top
    frame = [edge * scale for edge in (left, top, left + last.width, top + last.height)]
    pen = ImageDraw.Draw(crop)
    pen.rectangle([round(edge) for edge in frame], outline=(0, 0, 0), width=3)
    pen.rectangle([round(edge) + inset for edge, inset in zip(frame, (1, 1, -1, -1), strict=True)], outline="white")
    cell = Image.new("RGB", (CELL, CELL), BEHIND)
    cell.paste(crop, ((CELL - crop.width) // 2, (CELL - crop.height) // 2))
    return cell


def draw_sheet(cells: Mapping[int, Image.Image]) -> bytes:
    """Lay numbered cells out in rows; returns a JPEG."""
    rows = math.ceil(len(cells) / MOST_IN_A_ROW)
    in_a_row = math.ceil(len(cells) / rows)
    size = in_a_row * (CELL + GAP) - GAP, rows * (CELL + GAP) - GAP
    sheet = Image.new("RGB", size, BEHIND)
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
