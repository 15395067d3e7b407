"""Which squares of a photo are trained on: the engine cuts them out, and the contact sheet shows them before.

A square as large as the photo, the same shifted to both sides, and slightly closer ones: the subject is seen at several
places and sizes, so that training cannot tie it to one. Where the subject's place is known, each square is laid around
it and none cuts its head off; where it is not, around the middle.
"""

from dataclasses import dataclass

from storage.contract import Box

CLOSER, CLOSEST = 0.88, 0.6
"""Side of the closer squares as a share of the photo's shorter side: where nothing is known, and at the least."""
ROOM = 1.2
"""Side of the closer squares as a multiple of the subject's longer side."""
SHIFT = 0.25
"""How far squares are shifted, as a share of what they leave of the photo, or of the larger square."""


@dataclass(frozen=True)
class Square:
    """In pixels from the photo's upper left corner."""

    left: float
    top: float
    side: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return (self.left, self.top, self.left + self.side, self.top + self.side)


def squares(width: int, height: int, subject: Box | None = None) -> list[Square]:
    """Return the squares of a photo, as many for every photo; the first is as large as can be, its subject centred."""
    side = float(min(width, height))
    close = side * CLOSER
    across = down = None
    if subject is not None:
        across, down = (subject.left, subject.right), (subject.top, subject.bottom)
        longer = max(subject.right - subject.left, subject.bottom - subject.top)
        close = min(max(longer * ROOM, side * CLOSEST), close)
    lefts = _starts(width, side, SHIFT * (width - side), across)
    tops = _starts(height, side, SHIFT * (height - side), down, head_first=True)
    wide = [Square(left, top, side) for left, top in zip(lefts, tops, strict=True)]
    shift = SHIFT * (side - close)
    lefts = _starts(width, close, shift, across)
    tops = _starts(height, close, shift, down, head_first=True)
    return wide + [Square(left, top, close) for top in tops[1:] for left in lefts[1:]]


def _starts(
    length: int, side: float, shift: float, subject: tuple[int, int] | None, *, head_first: bool = False
) -> tuple[float, float, float]:
    """Return where squares of this side begin along an axis: one centred on the subject, one before it, one after.

    All of the subject stays inside where it fits; where it does not, `head_first` keeps its beginning.
    """
    spare = length - side
    if subject is None:
        first, middle, last = 0.0, spare / 2, spare
    else:
        start, end = subject
        fits = end - start <= side
        first, last = (end - side, float(start)) if fits or not head_first else (start, start)
        first, last = sorted((_within(first, spare), _within(last, spare)))
        middle = min(max(_within((start + end - side) / 2, spare), first), last)
    return middle, max(middle - shift, first), min(middle + shift, last)


def _within(start: float, spare: float) -> float:
    return min(max(start, 0.0), spare)
