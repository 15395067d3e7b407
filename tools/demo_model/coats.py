"""Coats: what makes an individual out of a drawing - a body colour, a pattern and a build of its own."""

from dataclasses import dataclass

import numpy as np

from tools.demo_model.art import Pixels

PALETTE: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.16, 0.16),
    "orange": (0.96, 0.55, 0.12),
    "yellow": (0.97, 0.83, 0.20),
    "green": (0.25, 0.68, 0.28),
    "blue": (0.20, 0.42, 0.88),
    "purple": (0.55, 0.27, 0.75),
    "pink": (0.97, 0.52, 0.72),
    "white": (0.95, 0.95, 0.95),
    "gray": (0.55, 0.56, 0.60),
    "black": (0.20, 0.20, 0.24),
    "brown": (0.50, 0.31, 0.19),
    "teal": (0.13, 0.65, 0.66),
}
PATTERNS = ("spots", "stripes", "patches", "half", "fade")
BODY_REACH = 0.34  # how far from the body's own colour (RGB distance) a pixel still takes the coat


@dataclass(frozen=True)
class Coat:
    """An individual's looks. `colour` and `marking` name palette entries; None keeps the drawing's own."""

    colour: str | None = None
    pattern: str | None = None
    marking: str = "white"
    build: float = 1.0  # width over height, against the drawing's own
    seed: int = 0  # where the pattern's spots and stripes lie, and the shade of the colours


def random_coat(rng: np.random.Generator, *, recoloured: float, patterned: float) -> Coat:
    """Draw a coat; `recoloured` and `patterned` are the chances of a new colour and of a pattern."""
    names = list(PALETTE)
    colour = str(rng.choice(names)) if rng.random() < recoloured else None
    pattern = str(rng.choice(PATTERNS)) if rng.random() < patterned else None
    marking = str(rng.choice([name for name in names if name != colour]))
    return Coat(colour, pattern, marking, float(rng.uniform(0.88, 1.12)), int(rng.integers(1 << 31)))


def body_mask(drawing: Pixels) -> tuple[Pixels, Pixels]:
    """Return how much each pixel belongs to the body ([h, w] in 0..1), and the body's colour ([3]).

    The body is what carries the commonest colour, so eyes, noses and windows stay as they are.
    """
    opaque = drawing[..., 3] > 0.9
    colours = drawing[opaque][:, :3]
    bins = np.clip((colours * 6).astype(int), 0, 5) @ np.array([36, 6, 1])
    commonest = np.bincount(bins, minlength=216).argmax()
    body = colours[bins == commonest].mean(axis=0)
    distance = np.linalg.norm(drawing[..., :3] - body, axis=-1)
    return np.clip(2 - 2 * distance / BODY_REACH, 0, 1).astype(np.float32), body.astype(np.float32)


def _smooth(field: Pixels, edge: float) -> Pixels:
    """Turn a signed field into 0..1 with a soft step `edge` wide around zero."""
    return np.clip(field / edge + 0.5, 0, 1).astype(np.float32)


def pattern_mask(pattern: str, shape: tuple[int, int], seed: int) -> Pixels:
    """Return the pattern as [h, w] in 0..1; the same seed gives the same pattern at every size."""
    rng = np.random.default_rng(seed)
    height, width = shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = (y + 0.5) / height, (x + 0.5) / width
    edge = 1.5 / max(shape)
    if pattern == "stripes":
        angle, count = rng.uniform(-0.6, 0.6) + rng.choice([0, np.pi / 2]), rng.uniform(3.0, 5.0)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        wave = np.sin(2 * np.pi * (count * along + 0.12 * np.sin(7 * across + rng.uniform(0, 6)) + rng.uniform()))
        return _smooth(wave - 0.1, edge * 20)
    if pattern == "half":
        return (
            _smooth(x - rng.uniform(0.42, 0.58), edge)
            if rng.random() < 0.5
            else _smooth(y - rng.uniform(0.45, 0.6), edge)
        )
    if pattern == "fade":
        return np.clip((y - 0.25) / 0.5, 0, 1).astype(np.float32)
    few, many, low, high = (9, 15, 0.05, 0.085) if pattern == "spots" else (3, 5, 0.15, 0.24)
    mask = np.zeros(shape, np.float32)
    for _ in range(rng.integers(few, many)):
        cx, cy, radius, squash = (
            rng.uniform(0.08, 0.92),
            rng.uniform(0.08, 0.92),
            rng.uniform(low, high),
            rng.uniform(0.8, 1.2),
        )
        mask = np.maximum(mask, _smooth(radius - np.hypot((x - cx) * squash, y - cy), edge))
    return mask


def dress(drawing: Pixels, coat: Coat) -> Pixels:
    """Return the drawing ([h, w, 4] in 0..1) in this coat; shading and outlines are kept."""
    mask, body = body_mask(drawing)
    rng = np.random.default_rng(coat.seed)
    rgb = drawing[..., :3]
    shade = (rgb.mean(-1, keepdims=True) / max(float(body.mean()), 0.05)).clip(0.5, 1.5)
    jitter = rng.uniform(-0.05, 0.05, 3)
    ground = np.array(PALETTE[coat.colour]) + jitter if coat.colour else None
    coated = rgb if ground is None else ground * shade
    if coat.pattern is not None:
        marks = pattern_mask(coat.pattern, rgb.shape[:2], coat.seed)[..., None]
        coated = coated * (1 - marks) + (np.array(PALETTE[coat.marking]) + jitter) * shade * marks
    dressed = rgb * (1 - mask[..., None]) + coated * mask[..., None]
    return np.concatenate([dressed.clip(0, 1), drawing[..., 3:]], axis=-1).astype(np.float32)
