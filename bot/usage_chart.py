"""The picture of the last days: a row of bars for each figure, each with its name and its largest number."""

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from bot.admin_text import FIGURES
from bot.language import N_, number
from storage.statistics import Day, Figures

WIDTH, ROW, MARGIN, LEFT = 960, 118, 24, 190
"""Pixels; the names stand left of the bars."""
GAP, TITLE, SMALL = 10, 22, 16
FIRST_NOT_LATIN = 0x250
MOST, NONE = N_("most {most} a day"), N_("none")
GROUND, BAR, LINE, INK, FAINT = (43, 45, 49), (136, 160, 255), (84, 87, 94), (242, 243, 245), (181, 186, 193)


def draw_chart(days: Sequence[Day]) -> bytes:
    """Return a PNG. A day without anything has no bar, and the smallest number still has one that can be seen."""
    picture = Image.new("RGB", (WIDTH, len(FIGURES) * ROW + SMALL + 2 * MARGIN), GROUND)
    pen = ImageDraw.Draw(picture)
    for place, (name, label) in enumerate(FIGURES.items()):
        _draw_row(pen, MARGIN + place * ROW, _drawn(label), [_value(day.figures, name) for day in days])
    _draw_dates(pen, MARGIN + len(FIGURES) * ROW, days)
    packed = io.BytesIO()
    picture.save(packed, "PNG", optimize=True)
    return packed.getvalue()


def _drawn(message: N_) -> str:
    """Return it in the language that is spoken, as far as the font has its letters: those of Europe."""
    said = str(message)
    return said if all(ord(letter) < FIRST_NOT_LATIN for letter in said) else message.message


def _value(figures: Figures, name: str) -> float:
    return float(getattr(figures, name))


def _draw_row(pen: ImageDraw.ImageDraw, top: int, label: str, values: Sequence[float]) -> None:
    floor, most = top + ROW - GAP * 2, max(values, default=0)
    pen.text((MARGIN, top + GAP), label, fill=INK, font=ImageFont.load_default(TITLE))
    largest = _drawn(MOST).format(most=number(most)) if most else _drawn(NONE)
    pen.text((MARGIN, top + GAP + TITLE + GAP), largest, fill=FAINT, font=ImageFont.load_default(SMALL))
    pen.line((LEFT, floor, WIDTH - MARGIN, floor), fill=LINE, width=2)
    for (left, right), value in zip(_places(len(values)), values, strict=True):
        if value > 0:
            height = max(3, round(value / most * (ROW - GAP * 3)))
            pen.rectangle((left, floor - height, right, floor - 1), fill=BAR)


def _draw_dates(pen: ImageDraw.ImageDraw, top: int, days: Sequence[Day]) -> None:
    font = ImageFont.load_default(SMALL)
    for (left, right), day in zip(_places(len(days)), days, strict=True):
        pen.text(((left + right) / 2, top), f"{day.date.day}", fill=FAINT, font=font, anchor="ma")


def _places(count: int) -> list[tuple[int, int]]:
    """Return where each bar begins and ends."""
    step = (WIDTH - MARGIN - LEFT) / max(count, 1)
    return [(round(LEFT + step * n + GAP / 2), round(LEFT + step * (n + 1) - GAP / 2)) for n in range(count)]
