"""Which parts of a photo are trained on: the engine cuts them out, and the contact sheet shows them before.

A window as large as the photo lets it be, the same shifted to both sides, and slightly closer ones: the subject is seen
at several places and sizes, so that training cannot tie it to one. Where the subject's place is known, each window is
laid around it and none cuts its head off; where it is not, around the middle. Windows are square unless a base takes
other sizes and no square would hold all of the subject.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from storage.contract import Box

Size = tuple[int, int]
"""Width and height in pixels."""

CLOSER, CLOSEST = 0.88, 0.6
"""How large the closer windows are beside the larger ones: where nothing is known, and at the least."""
ROOM = 1.2
"""How much larger the closer windows are than the subject."""
SHIFT = 0.25
"""How far windows are shifted, as a share of what they leave of the photo, or of the larger window."""
MOST_ASPECT = 2.0
"""The longest bucket's long side by its short side."""


@dataclass(frozen=True)
class Window:
    """In pixels from the photo's upper left corner."""

    left: float
    top: float
    width: float
    height: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return (self.left, self.top, self.left + self.width, self.top + self.height)


def buckets(side: int, grain: int) -> list[Size]:
    """Return the sizes that photos are trained at, squarest first: no larger in area than the square of this side.

    Sides are multiples of `grain`: the aspect buckets of kohya-ss/sd-scripts (`make_bucket_resolutions`).
    """
    sizes = [(side, side)]
    for width in range(side - grain, 0, -grain):
        height = side * side // width // grain * grain
        if height <= MOST_ASPECT * width:
            sizes += [(width, height), (height, width)]
    return sizes


def bucket_for(width: int, height: int, subject: Box | None, sizes: Sequence[Size]) -> Size:
    """Return the squarest of some sizes among those in whose shape a photo's windows keep most of the subject.

    Where its place is unknown, that is all of the photo.
    """
    subject = subject or Box(left=0, top=0, right=width, bottom=height)

    def fitness(size: Size) -> tuple[float, float]:
        wide, high = _largest(width, height, size[0] / size[1])
        across, down = subject.right - subject.left, subject.bottom - subject.top
        return round(min(wide / across, 1.0) * min(high / down, 1.0), 3), -abs(log(size[0] / size[1]))

    return max(sizes, key=fitness)


def windows(width: int, height: int, subject: Box | None = None, aspect: float = 1.0) -> list[Window]:
    """Return the windows of a photo, as many for every photo; the first is as large as can be, its subject centred.

    `aspect` is their width by their height.
    """
    wide, high = _largest(width, height, aspect)
    close = CLOSER
    across = down = None
    if subject is not None:
        across, down = (subject.left, subject.right), (subject.top, subject.bottom)
        fills = max((subject.right - subject.left) / wide, (subject.bottom - subject.top) / high)
        close = min(max(fills * ROOM, CLOSEST), CLOSER)
    lefts = _starts(width, wide, SHIFT * (width - wide), across)
    tops = _starts(height, high, SHIFT * (height - high), down, head_first=True)
    large = [Window(left, top, wide, high) for left, top in zip(lefts, tops, strict=True)]
    lefts = _starts(width, wide * close, SHIFT * (wide - wide * close), across)
    tops = _starts(height, high * close, SHIFT * (high - high * close), down, head_first=True)
    return large + [Window(left, top, wide * close, high * close) for top in tops[1:] for left in lefts[1:]]


def _largest(width: int, height: int, aspect: float) -> tuple[float, float]:
    """Return width and height of the largest window of this shape."""
    wide = min(float(width), height * aspect)
    return wide, min(float(height), wide / aspect)


def _starts(
    length: int, side: float, shift: float, subject: tuple[int, int] | None, *, head_first: bool = False
) -> tuple[float, float, float]:
    """Return where windows with this side begin along an axis: one centred on the subject, one before it, one after.

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
