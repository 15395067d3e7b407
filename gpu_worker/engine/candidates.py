"""The points of a training at which a candidate is drawn, and the one after which more steps stop paying."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gpu_worker.engine.recipes import Recipe
from gpu_worker.engine.sampling import Sampler

BUDGET = 0.15
"""What drawing candidates may cost, as a share of the training."""
LEAST, MOST = 2, 40
PATIENCE = 5
"""So many candidates in a row that are no better end the training."""
SCORE_GAIN, LOSS_GAIN = 0.01, 0.01
"""What counts as better: so much more score, or such a share less of the held-out loss."""


@dataclass(frozen=True)
class Tried:
    """A candidate that was drawn."""

    step: int
    score: float | None
    """None where nothing can be scored: no embedders lie beside the base, or they cannot tell the subject."""
    held_out_loss: float
    """The loss on views of the photos that no step looks at, always under the same noise."""


def points_to_try(recipe: Recipe, pictures: int, sampler: Sampler) -> set[int]:
    """Return the steps after which `pictures` are drawn: spread over the later part, the last one always among them.

    How many there are follows from the budget. It is reckoned in passes of one picture through the U-Net, of which a
    backward pass takes two, so that it does not depend on how fast this machine is today.
    """
    rows = recipe.batch_size * (2 if recipe.prior else 1)
    training = recipe.steps * rows * 3
    trial = pictures * sampler.steps * (2 if sampler.guidance_scale > 1 else 1)
    count = min(max(math.floor(BUDGET * training / trial), LEAST), recipe.candidates, MOST)
    return {round(recipe.steps * (point + 1) / (count + 1)) for point in range(1, count + 1)}


def stopped_paying(tried: Sequence[Tried]) -> bool:
    """Tell whether the last candidates were no better than those before: by score, or else by the held-out loss."""
    before, last = tried[:-PATIENCE], tried[-PATIENCE:]
    if not before:
        return False
    scores = [candidate.score for candidate in before if candidate.score is not None]
    if scores:
        return all(candidate.score is None or candidate.score < max(scores) + SCORE_GAIN for candidate in last)
    least = min(candidate.held_out_loss for candidate in before)
    return all(candidate.held_out_loss > least * (1 - LOSS_GAIN) for candidate in last)
