"""Who is published beside the best: only what is clearly of another kind, and not far worse."""

import math

import pytest

from gpu_worker.engine.choosing import ADHERENCE_WEIGHT, Score
from gpu_worker.engine.finalists import Candidate, places, published
from storage.contract import Variant

BEST, ALIKE, FREE = Variant


def score(likeness: float, freedom: float, copied: float = 0.0) -> Score:
    return Score(likeness=likeness, adherence=(freedom + copied) / ADHERENCE_WEIGHT, copied=copied, repeated=0, drift=0)


def steps(*scores: Score) -> dict[Variant, int]:
    """Let candidates come one after the other; return the steps that are published."""
    finalists: dict[Variant, Candidate] = {}
    highest = -math.inf
    for step, each in enumerate(scores):
        finalists |= dict.fromkeys(places(finalists, each, highest), Candidate(step, each, {}))
        highest = max(highest, each.total)
    return {variant: candidate.step for variant, candidate in published(finalists).items()}


def test_each_kind_keeps_its_own() -> None:
    assert steps(score(1.08, 0.12), score(1.0, 0.35), score(0.75, 0.44)) == {BEST: 1, ALIKE: 0, FREE: 2}


def test_the_order_in_which_they_come_does_not_matter() -> None:
    assert steps(score(0.75, 0.44), score(1.0, 0.35), score(1.08, 0.12)) == {BEST: 1, FREE: 0, ALIKE: 2}


def test_of_equals_the_later_one_stands() -> None:
    assert steps(score(0.9, 0.3), score(0.9, 0.3)) == {BEST: 1}
    assert steps(score(0.9, 0.3), score(0.87, 0.27)) == {BEST: 1}


def test_a_clearly_worse_one_does_not_stand_and_many_small_steps_down_do_not_add_up() -> None:
    assert steps(score(0.9, 0.3), score(0.82, 0.22))[BEST] == 0
    assert steps(score(0.9, 0.3), score(0.84, 0.24), score(0.78, 0.18))[BEST] == 1


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(score(0.94, 0.25), id="hardly more alike"),
        pytest.param(score(0.87, 0.32), id="hardly freer"),
        pytest.param(score(0.5, 0.49), id="not far from another individual"),
        pytest.param(score(1.2, 0.0), id="able to draw little else"),
        pytest.param(score(0.98, 0.15, copied=0.1), id="a copy of the photos"),
    ],
)
def test_what_is_no_choice_is_not_offered(other: Score) -> None:
    assert steps(other, score(0.9, 0.3)) == {BEST: 1}
