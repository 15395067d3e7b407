"""What the figures of `fidelity` are made of: the margin's interval, and what choosing gave away."""

from collections.abc import Mapping, Sequence

import numpy as np

RESAMPLES = 10_000


def bootstrap(margins: Mapping[str, Sequence[float]], resamples: int = RESAMPLES) -> tuple[float, float]:
    """Return the 95 % interval of the mean margin, given the margins of each subject's trainings.

    Subjects are drawn with replacement and then, within each, its trainings: another subject is what a figure has to
    hold for, and trainings of one subject are too alike to count as so many (Efron & Tibshirani 1993, chapter 8).

    Raises ValueError for fewer than two subjects, which tell nothing of a third.
    """
    if len(margins) < 2:
        raise ValueError("an interval needs at least two subjects")
    rng = np.random.default_rng(0)
    chosen = rng.integers(len(margins), size=(resamples, len(margins)))
    means = [
        rng.choice(np.asarray(values), (*chosen.shape, len(values))).mean(-1) for values in margins.values()
    ]  # by subject, what its trainings come to wherever it may be chosen
    drawn = np.take_along_axis(np.stack(means, -1), chosen[..., None], -1)
    low, high = np.quantile(drawn.mean((1, 2)), [0.025, 0.975])
    return float(low), float(high)


def regret(judged: Mapping[int, float], chosen: int) -> float:
    """Return how much better than the chosen candidate the best one is, each judged by its step."""
    return max(judged.values()) - judged[chosen]
