"""How many candidates a training can afford, where they lie, and when it has had enough."""

from dataclasses import replace

import pytest

from gpu_worker.engine.base_model import Family
from gpu_worker.engine.candidates import BUDGET, LEAST, MOST, PATIENCE, Tried, points_to_try, stopped_paying
from gpu_worker.engine.recipes import choose_recipe
from gpu_worker.engine.sampling import Sampler
from storage.contract import Quality, SubjectKind

RECIPE = choose_recipe(Family.DEMO, SubjectKind.PET, Quality.GOOD, photos=6)
SAMPLER = Sampler(steps=13, guidance_scale=4.0)


def tried(*scores: float | None, losses: tuple[float, ...] = ()) -> list[Tried]:
    return [Tried(place, score, (losses or (1.0,) * len(scores))[place]) for place, score in enumerate(scores)]


@pytest.mark.parametrize("longer", [1, 2, 5])
def test_candidates_cost_what_they_may_and_the_last_step_is_one_of_them(longer: int) -> None:
    recipe = replace(RECIPE, steps=RECIPE.steps * longer)
    points = points_to_try(recipe, 8, SAMPLER)
    training, trial = recipe.steps * 2 * recipe.batch_size * 3, 8 * SAMPLER.steps * 2
    assert len(points) > LEAST
    assert BUDGET * training - trial < len(points) * trial <= BUDGET * training
    assert max(points) == recipe.steps
    assert min(points) > recipe.steps / (len(points) + 2)


def test_a_very_long_training_is_not_drawn_without_end() -> None:
    assert len(points_to_try(replace(RECIPE, steps=10_000), 8, SAMPLER)) == MOST


def test_a_costly_trial_still_leaves_a_choice() -> None:
    assert len(points_to_try(RECIPE, 100, SAMPLER)) == LEAST


def test_what_gets_better_goes_on_and_what_does_not_ends() -> None:
    better = [0.5 + place / 20 for place in range(PATIENCE + 2)]
    assert not stopped_paying(tried(*better))
    assert not stopped_paying(tried(*[0.9] * PATIENCE))  # there is nothing before them to be better than
    assert stopped_paying(tried(0.9, *[0.9] * PATIENCE))
    assert stopped_paying(tried(0.5, 0.9, *[0.7] * PATIENCE))
    assert not stopped_paying(tried(0.5, *[0.4] * (PATIENCE - 1), 0.6))


def test_without_scores_the_held_out_loss_tells() -> None:
    nothing = [None] * (PATIENCE + 1)
    assert stopped_paying(tried(*nothing, losses=(0.5, *[0.52] * PATIENCE)))
    assert not stopped_paying(tried(*nothing, losses=(0.5, *[0.52] * (PATIENCE - 1), 0.4)))
