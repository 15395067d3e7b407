import pytest

from gpu_worker.engine.base_model import Family
from gpu_worker.engine.recipes import choose_recipe
from storage.contract import Quality, SubjectKind, TrainingOptions


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("kind", SubjectKind)
def test_there_is_a_recipe_for_everything_and_quality_costs_steps(family: Family, kind: SubjectKind) -> None:
    steps = [choose_recipe(family, kind, quality, photos=5).steps for quality in Quality]
    assert 10 <= steps[0] < steps[1] < steps[2]


def test_more_photos_take_more_steps_up_to_a_limit() -> None:
    steps = [choose_recipe(Family.SD1, SubjectKind.PET, Quality.GOOD, photos).steps for photos in (3, 6, 10)]
    assert steps[0] < steps[1] < steps[2]


def test_what_is_set_by_hand_wins() -> None:
    options = TrainingOptions(steps=77, learning_rate=3e-4, rank=5, batch_size=2, prior_weight=0.5, class_images=9)
    recipe = choose_recipe(Family.DEMO, SubjectKind.PET, Quality.BEST, 5, options)
    chosen = (recipe.steps, recipe.learning_rate, recipe.rank, recipe.batch_size, recipe.prior_weight)
    assert chosen == (77, 3e-4, 5, 2, 0.5)
    assert recipe.class_images == 9


@pytest.mark.parametrize("without", [TrainingOptions(prior_weight=0), TrainingOptions(class_images=0)])
def test_the_prior_can_be_left_out(without: TrainingOptions) -> None:
    assert choose_recipe(Family.DEMO, SubjectKind.PET, Quality.GOOD, 5).prior
    assert not choose_recipe(Family.DEMO, SubjectKind.PET, Quality.GOOD, 5, without).prior
