"""Options for experts: what makes no sense is told at once, with what to do; everything else reaches the worker."""

import re
from typing import Any

import pytest

from bot.explanations import explain
from bot.problem_text import OPTION_PROBLEMS
from bot.train_options import InvalidOption, OptionProblem, check_options
from storage.contract import TrainingOptions, TrainRequest
from tests.bot.conftest import World, answer
from tests.bot.test_train import GOOD, agree, ask, nothing_happened, only_job, train

PROBLEM = OptionProblem
SD = "stable-diffusion-v1-5"


@pytest.mark.parametrize(
    ("base", "options", "problem"),
    [
        ("demo", {"learning_rate": 0.05}, PROBLEM.RATE_TOO_HIGH),
        ("demo", {"learning_rate": 0.006}, None),
        (SD, {"learning_rate": 0.006}, PROBLEM.RATE_TOO_HIGH),
        (SD, {"learning_rate": 1e-4}, None),
        ("demo", {"learning_rate": 1e-6}, PROBLEM.RATE_TOO_LOW),
        ("demo", {"resolution": 48}, None),
        ("demo", {"resolution": 50}, PROBLEM.RESOLUTION),
        ("demo", {"resolution": 128}, PROBLEM.RESOLUTION),
        (SD, {"resolution": 256}, None),
        (SD, {"resolution": 192}, PROBLEM.RESOLUTION),
        ("stabilityai-stable-diffusion-2-1", {"resolution": 704}, None),
        ("demo", {"steps": 10_000, "batch_size": 32}, PROBLEM.TOO_LONG),
        ("demo", {"steps": 10_000, "batch_size": 4}, None),
        ("demo", {"prior_weight": 0.0, "class_images": 10}, PROBLEM.NO_WEIGHT),
        ("demo", {"prior_weight": 0.0, "class_prompt": "a dog"}, PROBLEM.NO_WEIGHT),
        ("demo", {"prior_weight": 0.0, "class_images": 0}, None),
        ("demo", {"prior_weight": 0.5, "class_images": 0}, PROBLEM.NO_IMAGES),
        ("demo", {"class_prompt": "?!"}, PROBLEM.CLASS_PROMPT),
        ("demo", {"class_prompt": "a photo of a Baby, smiling"}, PROBLEM.CHILD),
        ("demo", {"class_prompt": "a photo of a corgi"}, None),
    ],
)
def test_what_makes_no_sense(base: str, options: dict[str, Any], problem: OptionProblem | None) -> None:
    typed = TrainingOptions.model_construct(**TrainingOptions().model_dump() | options)
    if problem is None:
        assert check_options(typed, base) == TrainingOptions(**options)
        return
    with pytest.raises(InvalidOption) as raised:
        check_options(typed, base)
    assert raised.value.problem is problem
    assert not re.search(r"[{}]", explain(raised.value))


def test_every_problem_has_words() -> None:
    assert set(OPTION_PROBLEMS) == set(OptionProblem)


async def test_the_command_passes_them_on(world: World) -> None:
    await agree(world, world.ada)
    await train(world, GOOD, class_prompt="  a photo  of a corgi ", resolution=32, seed=9)
    request = TrainRequest.model_validate((await only_job(world)).request)
    assert (request.options.class_prompt, request.options.resolution, request.seed) == ("a photo of a corgi", 32, 9)


async def test_the_command_says_what_makes_no_sense_before_it_takes_photos_in(world: World) -> None:
    told = answer(await ask(world, GOOD, resolution=50))
    assert "demo can be trained at 32, 48 or 64 pixels a side" in told
    await nothing_happened(world)
