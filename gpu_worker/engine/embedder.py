"""What looks at pictures: an embedder says who is shown, what it is and where, as numbers that can be compared.

Two come into play: one chooses among candidates, the other judges what was chosen. `small_embedder` has those that
ship with the demo base; `hub_embedders` makes them of models that an operator names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor


@dataclass(frozen=True)
class Knowledge:
    """The words that an embedder knows, and when it takes two pictures for copies."""

    classes: tuple[str, ...]
    places: tuple[str, ...]
    copy_cosine: float
    """At or above it two pictures may be copies of each other ..."""
    copy_difference: float
    """... if their pixels differ by no more than this (root mean square, 0..1)."""


class Outputs(NamedTuple):
    """What an embedder says about [b] pictures."""

    identity: Tensor
    """[b, dimensions], unit length: pictures of one individual lie close together, wherever it stands."""
    class_logits: Tensor
    """[b, classes]"""
    place_logits: Tensor
    """[b, places]"""


class Embedder(Protocol):
    @property
    def knows(self) -> Knowledge: ...

    @property
    def digest(self) -> str:
        """Of its weights: embeddings of two embedders cannot be compared."""

    @property
    def side(self) -> int:
        """Pixels a side of what it looks at."""

    @property
    def others(self) -> Mapping[str, Tensor]:
        """Embeddings [n, dimensions] of real individuals, by class, for the floor of a score; may be empty."""

    def look(self, pictures: Sequence[Image.Image]) -> Outputs:
        """Look at pictures of any size; the answer is on the CPU. Raises ValueError when there are none."""

    @property
    def settings(self) -> Sequence[str]:
        """Where pictures may be taken, as prompts say it ("in the snow"); an empty one means nowhere in particular."""

    def where(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Return how probable each of the settings is for each picture, [b, settings]."""

    def style(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Describe how pictures are drawn rather than what they show, [b, d]."""


@dataclass(frozen=True)
class Embedders:
    choosing: Embedder
    judging: Embedder


def pixels_of(pictures: Sequence[Image.Image], side: int, resampling: Image.Resampling) -> Tensor:
    """Return the pictures' middle squares as [b, 3, side, side] in 0..1. Raises ValueError when there are none."""
    if not pictures:
        raise ValueError("an embedder needs at least one picture")
    fitted = [np.asarray(ImageOps.fit(picture.convert("RGB"), (side, side), resampling)) for picture in pictures]
    return torch.from_numpy(np.stack(fitted)).permute(0, 3, 1, 2).float() / 255
