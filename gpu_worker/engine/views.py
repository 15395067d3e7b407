"""What the network is shown of a picture: all of it, or windows that overlap.

The network draws best what is as large as what it was trained on, and one subject at a time. So a picture that is much
larger is shown to it in windows of its own size, and two subjects each in a window of their own, with their own words
and adapter; what it says of each window is averaged where they overlap, at every step, so that one picture comes of it
(MultiDiffusion: Bar-Tal et al. 2023, arXiv 2302.08113). Windows of any picture are rows of a batch like any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

WHOLE_AREA = 2.0
"""As a share of the base's own area: a picture above it is shown in windows."""
OVERLAP = 1 / 4
"""Of windows that lie beside each other, as a share of a side."""
SEAM = 1 / 8
"""How wide the strip is in which one subject's part goes over into the other's, as a share of the base's side."""


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a picture's latents; `voice` says whose words and adapter draw there."""

    top: int
    left: int
    height: int
    width: int
    weight: Tensor
    """[height, width], how much what is said of each place counts beside what other windows say."""
    voice: int = 0

    def cut(self, latents: Tensor) -> Tensor:
        """Return the window's part of [c, h, w]; of what is cut, nothing is copied."""
        return latents[..., self.top : self.top + self.height, self.left : self.left + self.width]


def blend(windows: Sequence[Window], said: Sequence[Tensor], like: Tensor) -> Tensor:
    """Return one prediction [c, h, w] from those of the windows, [c, height, width] each."""
    if len(windows) == 1:
        return said[0]
    total, weights = torch.zeros_like(like), torch.zeros_like(like[:1])
    for window, part in zip(windows, said, strict=True):
        weight = window.weight.to(like.device)
        window.cut(total).add_(weight * part)
        window.cut(weights).add_(weight)
    return total / weights


@lru_cache(maxsize=256)
def lay_out(height: int, width: int, side: int, grain: int, voices: int = 1) -> tuple[Window, ...]:
    """Return the windows, all of one size, for latents [height, width] of a base whose own side is `side`.

    Their sides are multiples of `grain`. Two voices have the left and the right part.
    """
    whole = Window(0, 0, height, width, torch.ones(height, width))
    parts = [whole] if voices == 1 else _side_by_side(height, width, side, grain)
    if parts[0].height * parts[0].width <= WHOLE_AREA * side**2:
        return tuple(parts)
    return tuple(tile for part in parts for tile in _tiles(part, side))


def _side_by_side(height: int, width: int, side: int, grain: int) -> list[Window]:
    """Return a square at each end of a wide picture, or all of an upright one twice; each counts on its own side."""
    wide = min(max(height, -(-width // (2 * grain)) * grain), width)
    columns = torch.arange(width) + 0.5
    left = ((width / 2 - columns) / (SEAM * side) + 0.5).clamp(0, 1).expand(height, -1)
    ends = [(0, left), (width - wide, 1 - left)]
    return [
        Window(0, start, height, wide, share[:, start : start + wide], voice)
        for voice, (start, share) in enumerate(ends)
    ]


def _tiles(part: Window, side: int) -> list[Window]:
    """Cover a part with windows of the base's own side, which count less towards their edges."""
    high, wide = min(side, part.height), min(side, part.width)
    falling = torch.outer(_falling(high, side), _falling(wide, side))
    tiles = []
    for top in _starts(part.height, high):
        for left in _starts(part.width, wide):
            weight = falling * part.weight[top : top + high, left : left + wide]
            if bool(weight.any()):  # it may lie in the other's half
                tiles.append(Window(part.top + top, part.left + left, high, wide, weight, part.voice))
    return tiles


def _starts(length: int, side: int) -> list[int]:
    """Return where windows begin that cover a length, evenly, and overlap by `OVERLAP` of their side at least."""
    count = 1 + -(-(length - side) // int(side * (1 - OVERLAP)))
    return [round(number * (length - side) / max(count - 1, 1)) for number in range(count)]


def _falling(length: int, side: int) -> Tensor:
    """Return weights [length] that rise from each edge over the strip in which windows overlap."""
    from_edge = torch.arange(length) + 0.5
    return (torch.minimum(from_edge, length - from_edge) / (OVERLAP * side)).clamp(max=1)
