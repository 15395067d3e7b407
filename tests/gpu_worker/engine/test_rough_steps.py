import pytest

from bot.estimates import ROUGH_STEPS
from gpu_worker.engine.base_model import Family
from gpu_worker.engine.recipes import choose_recipe
from storage.contract import Quality, SubjectKind


@pytest.mark.parametrize("quality", Quality)
@pytest.mark.parametrize("family", [Family.DEMO, Family.SD1, Family.SDXL])
def test_the_bots_rule_of_thumb_is_near_the_recipes(family: Family, quality: Quality) -> None:
    for kind in SubjectKind:
        for photos in (3, 6, 10):
            steps = choose_recipe(family, kind, quality, photos).steps
            assert 0.4 < steps / ROUGH_STEPS[quality] < 2.5
