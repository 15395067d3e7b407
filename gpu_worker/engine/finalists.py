"""Who of a training's candidates may be published: the best of all and, beside it, its runners-up.

A score has two parts, likeness and freedom, and adds them up. One runner-up counts likeness more, the other freedom:
each is the best of its own kind, found while the training goes on and without keeping more than these three.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from gpu_worker.engine.choosing import Score
from storage.contract import Variant

NOISE = 0.15
"""Totals that differ by less are alike, and the later point, which has learned more, stands. One picture in a wrong
place takes less off, one copy of a photo more. Two sets of six pictures of one training, 54 steps apart near its end,
differ by 0.14 at times where the judge sees no difference (docs/fidelity.md)."""
EMPHASIS = 3.0
"""How often a runner-up counts what it stands for."""
NOTICEABLE = 0.05
"""So much more of what it stands for makes a runner-up worth a button."""
GIVEN_UP = 0.25
"""The most of the other part that it may cost."""


@dataclass(frozen=True)
class Candidate:
    """A point of the training that could be published."""

    step: int
    score: Score
    weights: dict[str, tuple[Tensor, Tensor]]


Finalists = Mapping[Variant, Candidate]


def places(finalists: Finalists, score: Score, highest: float) -> set[Variant]:
    """Return the places that a candidate takes; `highest` is the best total of those before it."""
    taken = {
        variant
        for variant in (Variant.ALIKE, Variant.FREE)
        if variant not in finalists or _worth(variant, score) >= _worth(variant, finalists[variant].score)
    }
    return taken | {Variant.BEST} if score.total >= highest - NOISE else taken


def published(finalists: Finalists) -> dict[Variant, Candidate]:
    """Return the best and those runners-up that are another point of the training, and clearly of another kind."""
    best = finalists[Variant.BEST]
    kept = {Variant.BEST: best}
    for variant in (Variant.ALIKE, Variant.FREE):
        other = finalists[variant]
        likeness, freedom = other.score.likeness - best.score.likeness, other.score.freedom - best.score.freedom
        gain, loss = (likeness, -freedom) if variant is Variant.ALIKE else (freedom, -likeness)
        copies = other.score.copied > best.score.copied
        if other.step != best.step and gain >= NOTICEABLE and loss <= GIVEN_UP and not copies:
            kept[variant] = other
    return kept


def _worth(variant: Variant, score: Score) -> float:
    if variant is Variant.ALIKE:
        return EMPHASIS * score.likeness + score.freedom
    return score.likeness + EMPHASIS * score.freedom
