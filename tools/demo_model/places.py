"""The ten places that scenes are set in, and plain backgrounds: drawn by code, so that no two are the same."""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from tools.demo_model.coats import PALETTE

Colour = tuple[float, float, float]
SUPERSAMPLE = 2


def _byte(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (round(255 * min(max(value, 0), 1)) for value in colour)
    return red, green, blue


class Canvas:
    """A square picture drawn in unit coordinates: (0, 0) is the top left, (1, 1) the bottom right."""

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self._size = size
        self._pixels = size * SUPERSAMPLE
        self._image = Image.new("RGB", (self._pixels, self._pixels))
        self._draw = ImageDraw.Draw(self._image)

    def image(self) -> Image.Image:
        """Return the picture at its own size."""
        return self._image.resize((self._size, self._size), Image.Resampling.BOX)

    def vary(self, colour: Colour, amount: float = 0.06) -> Colour:
        """Return the colour, a little lighter or darker and a little off in hue."""
        shift = self.rng.uniform(-amount, amount) + self.rng.uniform(-amount / 2, amount / 2, 3)
        return (colour[0] + shift[0], colour[1] + shift[1], colour[2] + shift[2])

    def gradient(self, top: Colour, bottom: Colour, until: float = 1.0) -> None:
        """Fill from the upper edge down to `until` with a vertical gradient."""
        height = max(2, round(until * self._pixels))
        share = np.linspace(0, 1, height)[:, None]
        rows = np.array(top) * (1 - share) + np.array(bottom) * share
        band = Image.fromarray((255 * rows.clip(0, 1)).astype(np.uint8)[:, None, :])
        self._image.paste(band.resize((self._pixels, height)), (0, 0))

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        """Fill a polygon."""
        self._draw.polygon([(x * self._pixels, y * self._pixels) for x, y in points], fill=_byte(colour))

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour, squash: float = 1.0) -> None:
        """Fill an ellipse around (x, y): `radius` wide, `radius * squash` high."""
        box = [(x - radius), (y - radius * squash), (x + radius), (y + radius * squash)]
        self._draw.ellipse([value * self._pixels for value in box], fill=_byte(colour))

    def hills(self, base: float, swing: float, colour: Colour, waves: float = 1.2) -> None:
        """Fill everything below a wavy line around the height `base`."""
        phase, tilt = self.rng.uniform(0, 6.28), self.rng.uniform(-swing, swing)
        xs = np.linspace(0, 1, 24)
        ys = base + swing * np.sin(phase + 6.28 * waves * xs) + tilt * (xs - 0.5)
        self.polygon([*zip(xs.tolist(), ys.tolist(), strict=True), (1.0, 1.0), (0.0, 1.0)], colour)

    def scatter(self, count: int, top: float, bottom: float) -> list[tuple[float, float]]:
        """Return `count` random points between two heights, the higher ones first."""
        points = zip(self.rng.uniform(0, 1, count).tolist(), self.rng.uniform(top, bottom, count).tolist(), strict=True)
        return sorted(points, key=lambda point: point[1])

    def chance(self, probability: float) -> bool:
        """Return True with this probability."""
        return bool(self.rng.random() < probability)


def _stars(c: Canvas, count: int, bottom: float) -> None:
    for x, y in c.scatter(count, 0, bottom):
        c.disc(x, y, float(c.rng.uniform(0.005, 0.012)), (1, 1, 0.92))


def _clouds(c: Canvas, count: int) -> None:
    for x, y in c.scatter(count, 0.05, 0.28):
        width = float(c.rng.uniform(0.06, 0.1))
        for shift, size in ((-0.9, 0.6), (0, 1.0), (0.9, 0.7)):
            c.disc(x + shift * width, y, width * size, (0.97, 0.98, 1), 0.62)


def _fir(c: Canvas, x: float, foot: float, height: float, colour: Colour) -> None:
    c.box(x - 0.018, foot - 0.05, x + 0.018, foot, (0.36, 0.24, 0.15))
    for level in range(3):
        top = foot - height + level * height * 0.24
        half = height * (0.2 + 0.07 * level)
        c.polygon([(x, top), (x - half, top + height * 0.42), (x + half, top + height * 0.42)], colour)


def moon(c: Canvas) -> None:
    """Gray cratered ground under a black, starry sky, sometimes with the earth in it."""
    c.gradient((0.02, 0.02, 0.06), c.vary((0.07, 0.07, 0.14), 0.03))
    _stars(c, 26, 0.6)
    if c.chance(0.6):
        x, y, r = c.rng.uniform(0.1, 0.9), c.rng.uniform(0.1, 0.24), c.rng.uniform(0.06, 0.1)
        c.disc(x, y, r, (0.2, 0.45, 0.85))
        c.disc(x - r * 0.25, y - r * 0.15, r * 0.45, (0.3, 0.65, 0.35), 0.7)
    ground = c.vary((0.66, 0.66, 0.68))
    c.hills(float(c.rng.uniform(0.56, 0.66)), 0.02, ground, 0.6)
    for x, y in c.scatter(8, 0.7, 0.98):
        size = float(c.rng.uniform(0.03, 0.08))
        c.disc(x, y, size, (ground[0] - 0.18, ground[1] - 0.18, ground[2] - 0.17), 0.42)
        c.disc(x + size * 0.1, y + size * 0.1, size * 0.78, (ground[0] - 0.1, ground[1] - 0.1, ground[2] - 0.09), 0.4)


def beach(c: Canvas) -> None:
    """Sand, a band of sea and a bright sky; sometimes a sun or a parasol."""
    sea = float(c.rng.uniform(0.42, 0.5))
    c.gradient(c.vary((0.45, 0.76, 0.96)), (0.82, 0.93, 0.99), sea)
    if c.chance(0.5):
        c.disc(float(c.rng.uniform(0.1, 0.9)), float(c.rng.uniform(0.1, 0.2)), 0.075, (1, 0.9, 0.35))
    else:
        _clouds(c, 2)
    c.box(0, sea, 1, 1, c.vary((0.12, 0.52, 0.80)))
    c.hills(sea + float(c.rng.uniform(0.13, 0.2)), 0.015, (0.93, 0.97, 0.98), 1.5)
    c.hills(sea + float(c.rng.uniform(0.17, 0.24)), 0.012, c.vary((0.95, 0.85, 0.60), 0.04), 1.2)
    if c.chance(0.45):
        x, top = float(c.rng.choice([0.13, 0.87])), float(c.rng.uniform(0.3, 0.38))
        c.box(x - 0.008, top, x + 0.008, 0.8, (0.45, 0.32, 0.22))
        colour = PALETTE[str(c.rng.choice(["red", "orange", "green", "pink"]))]
        c.polygon(
            [(x - 0.15, top + 0.1), (x - 0.08, top + 0.02), (x + 0.08, top + 0.02), (x + 0.15, top + 0.1)], colour
        )
    for x, y in c.scatter(4, 0.82, 0.98):
        c.disc(x, y, 0.018, c.vary((0.98, 0.78, 0.68)), 0.7)


def forest(c: Canvas) -> None:
    """Trunks and firs, dark green, over a mossy floor."""
    c.gradient(c.vary((0.20, 0.42, 0.30)), (0.36, 0.58, 0.36), 0.7)
    for x, y in c.scatter(8, 0.6, 0.68):
        _fir(c, x, y, float(c.rng.uniform(0.35, 0.55)), c.vary((0.10, 0.33, 0.18), 0.05))
    c.hills(0.66, 0.02, c.vary((0.20, 0.38, 0.16), 0.04))
    for x in (float(c.rng.uniform(0.02, 0.12)), float(c.rng.uniform(0.88, 0.98))):
        c.box(x - 0.05, 0, x + 0.05, 0.8, c.vary((0.33, 0.21, 0.13), 0.03))
    for x, y in c.scatter(6, 0.74, 0.98):
        c.disc(x, y, 0.03, c.vary((0.30, 0.50, 0.20)), 0.5)


def snow(c: Canvas) -> None:
    """White hills, firs and falling flakes under a pale sky."""
    c.gradient(c.vary((0.62, 0.74, 0.86)), (0.86, 0.92, 0.97), 0.7)
    c.hills(0.54, 0.04, c.vary((0.84, 0.90, 0.96), 0.02), 0.8)
    for x, y in c.scatter(3, 0.58, 0.66):
        _fir(c, x, y, float(c.rng.uniform(0.22, 0.34)), c.vary((0.42, 0.62, 0.62), 0.05))
    c.hills(0.66, 0.025, c.vary((0.95, 0.97, 1.0), 0.02), 0.9)
    for x, y in c.scatter(24, 0, 1):
        c.disc(x, y, float(c.rng.uniform(0.008, 0.016)), (1, 1, 1))


def city(c: Canvas) -> None:
    """A skyline with lit windows over a gray street."""
    c.gradient(c.vary((0.50, 0.58, 0.74)), (0.93, 0.78, 0.68), 0.7)
    left = float(c.rng.uniform(-0.1, 0))
    while left < 1:
        width, top = float(c.rng.uniform(0.13, 0.22)), float(c.rng.uniform(0.1, 0.4))
        wall = c.vary((0.36, 0.38, 0.48), 0.1)
        c.box(left, top, left + width, 0.75, wall)
        for x in np.arange(left + 0.025, left + width - 0.03, 0.05):
            for y in np.arange(top + 0.04, 0.68, 0.075):
                if c.chance(0.7):
                    c.box(x, y, x + 0.026, y + 0.036, (1, 0.9, 0.5) if c.chance(0.6) else (0.6, 0.75, 0.85))
        left += width + float(c.rng.uniform(0, 0.02))
    c.box(0, 0.7, 1, 0.76, (0.70, 0.70, 0.70))
    c.box(0, 0.76, 1, 1, c.vary((0.33, 0.33, 0.37), 0.03))
    for x in np.arange(float(c.rng.uniform(-0.2, 0)), 1, 0.3):
        c.box(x, 0.88, x + 0.16, 0.91, (0.95, 0.92, 0.7))


def desert(c: Canvas) -> None:
    """Orange dunes and cacti under a hot sky."""
    c.gradient(c.vary((0.98, 0.72, 0.42)), (1.0, 0.90, 0.66), 0.65)
    if c.chance(0.5):
        c.disc(float(c.rng.uniform(0.1, 0.9)), 0.16, 0.09, (1, 0.96, 0.75))
    c.hills(0.52, 0.06, c.vary((0.86, 0.56, 0.30), 0.04), 0.9)
    for x, y in c.scatter(2, 0.62, 0.7):
        green, height = c.vary((0.24, 0.50, 0.26), 0.04), float(c.rng.uniform(0.22, 0.32))
        c.box(x - 0.022, y - height, x + 0.022, y, green)
        for side, level in ((-1, 0.45), (1, 0.6)):
            c.box(
                min(x, x + side * 0.08), y - height * level, max(x, x + side * 0.08), y - height * level + 0.032, green
            )
            edge = x + side * 0.08
            c.box(edge - 0.016, y - height * (level + 0.32), edge + 0.016, y - height * level + 0.032, green)
    c.hills(0.68, 0.04, c.vary((0.93, 0.66, 0.38), 0.04), 1.1)


def space(c: Canvas) -> None:
    """Violet dark with stars, a ringed planet and mist; no ground."""
    c.gradient(c.vary((0.10, 0.04, 0.24), 0.04), c.vary((0.24, 0.10, 0.42), 0.05))
    for x, y in c.scatter(3, 0, 1):
        c.disc(x, y, float(c.rng.uniform(0.15, 0.28)), c.vary((0.30, 0.13, 0.48), 0.05), 0.7)
    _stars(c, 40, 1)
    for x, y in c.scatter(2, 0.08, 0.92):
        x = float(c.rng.choice([x * 0.25, 1 - x * 0.25]))
        radius, colour = (
            float(c.rng.uniform(0.06, 0.12)),
            PALETTE[str(c.rng.choice(["orange", "teal", "pink", "yellow"]))],
        )
        c.disc(x, y, radius * 1.7, c.vary((0.85, 0.75, 0.6)), 0.25)
        c.disc(x, y, radius, colour)


def sea(c: Canvas) -> None:
    """Under water: blue growing darker, bubbles, weeds and a sandy floor."""
    c.gradient(c.vary((0.30, 0.75, 0.88)), c.vary((0.03, 0.26, 0.55)))
    c.hills(0.88, 0.02, c.vary((0.70, 0.66, 0.48), 0.04))
    for x, _ in c.scatter(6, 0, 1):
        x = float(c.rng.choice([x * 0.3, 1 - x * 0.3]))
        height, colour = float(c.rng.uniform(0.2, 0.4)), c.vary((0.10, 0.50, 0.32), 0.08)
        for step in np.arange(0, height, 0.03):
            c.disc(x + 0.025 * float(np.sin(18 * step)), 0.95 - step, 0.022, colour, 1.3)
    for x, y in c.scatter(14, 0.05, 0.85):
        radius = float(c.rng.uniform(0.014, 0.03))
        c.disc(x, y, radius, (0.85, 0.96, 1))
        c.disc(x, y, radius * 0.6, (0.45, 0.78, 0.9))


def meadow(c: Canvas) -> None:
    """Green hills with flowers under a blue sky with clouds."""
    c.gradient(c.vary((0.40, 0.68, 0.96)), (0.80, 0.92, 1.0), 0.65)
    _clouds(c, 3)
    c.hills(0.54, 0.04, c.vary((0.40, 0.72, 0.36), 0.04), 0.8)
    c.hills(0.64, 0.03, c.vary((0.50, 0.80, 0.30), 0.04), 1.0)
    for x, y in c.scatter(14, 0.7, 0.98):
        colour = PALETTE[str(c.rng.choice(["red", "white", "yellow", "pink"]))]
        c.disc(x, y, 0.022, colour)
        c.disc(x, y, 0.009, (1, 0.85, 0.2))


def room(c: Canvas) -> None:
    """A wall with a window or a picture, a wooden floor and a rug."""
    floor = float(c.rng.uniform(0.62, 0.7))
    wall = np.array(PALETTE[str(c.rng.choice(["yellow", "pink", "teal", "blue", "orange"]))]) * 0.3 + 0.62
    c.box(0, 0, 1, floor, (float(wall[0]), float(wall[1]), float(wall[2])))
    x = float(c.rng.choice([0.2, 0.8])) + float(c.rng.uniform(-0.05, 0.05))
    c.box(x - 0.14, 0.08, x + 0.14, 0.42, (0.98, 0.97, 0.94))
    c.box(x - 0.115, 0.105, x + 0.115, 0.395, c.vary((0.60, 0.83, 0.96)))
    c.box(x - 0.01, 0.1, x + 0.01, 0.4, (0.98, 0.97, 0.94))
    c.box(x - 0.12, 0.24, x + 0.12, 0.26, (0.98, 0.97, 0.94))
    c.box(0, floor, 1, 1, c.vary((0.64, 0.44, 0.28), 0.04))
    for y in np.linspace(floor, 1, 5)[1:]:
        c.box(0, y - 0.008, 1, y, (0.50, 0.33, 0.20))
    c.box(0, floor - 0.02, 1, floor + 0.01, (0.96, 0.94, 0.90))
    if c.chance(0.7):
        c.disc(0.5, 0.86, 0.42, PALETTE[str(c.rng.choice(["red", "purple", "teal", "blue"]))], 0.22)


def plain(c: Canvas, colour: str) -> None:
    """One soft colour, a little lighter above."""
    base = np.array(PALETTE[colour]) * 0.55 + 0.42
    tone: Colour = c.vary((float(base[0]), float(base[1]), float(base[2])), 0.04)
    c.gradient((tone[0] + 0.05, tone[1] + 0.05, tone[2] + 0.05), tone)


PLACES: dict[str, Callable[[Canvas], None]] = {
    draw.__name__: draw for draw in (moon, beach, forest, snow, city, desert, space, sea, meadow, room)
}
FLOATING = frozenset({"space", "sea"})  # places without a ground to stand on
