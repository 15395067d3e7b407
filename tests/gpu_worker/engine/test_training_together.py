"""Several trainings in one forward and backward pass: each learns what it would learn alone."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gpu_worker.engine.examples import Examples, Latents
from gpu_worker.engine.recipes import Recipe
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import Sampler
from gpu_worker.engine.training import SMALL, DreamBooth, alike, gradients

STEPS = 6
TOGETHER = 4
Begin = Callable[[int, Recipe], DreamBooth]


RECIPE = Recipe(
    learning_rate=1e-2,
    text_learning_rate=5e-3,
    word_learning_rate=1e-2,
    rank=4,
    batch_size=2,
    prior_weight=0.5,
    class_images=2,
    views_per_photo=1,
    least_steps=1,
    most_steps=1,
    steps=12,
    sampler=Sampler(steps=2, guidance_scale=2.0),
)


def examples(seed: int, *prompts: str) -> Examples:
    mean = torch.randn(2, 2, 4, 8, 8, generator=torch.Generator().manual_seed(seed))
    return Examples(Latents(mean, torch.full_like(mean, 0.1)), [prompts] * 2)


@pytest.fixture
def begin(model: Resident, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    monkeypatch.setattr(model, "together", TOGETHER)
    started: list[DreamBooth] = []

    def start(seed: int, of: Recipe) -> DreamBooth:
        photos, classes = examples(seed, "a photo of sks dog", "sks dog"), examples(seed + 10, "a photo of a dog")
        started.append(DreamBooth(model, of, [photos], [classes] if of.prior else [], identifier="sks", seed=seed))
        return started[-1]

    yield start
    for training in started:
        training.close()


PEOPLE = (
    RECIPE,
    replace(RECIPE, learning_rate=3e-3, text_learning_rate=0.0, gradient_clip=0.05, steps=8),
    replace(RECIPE, word_learning_rate=0.0, weight_decay=0.1, ema=0.5, caption_dropout=0.5),
)
JOINS = (0, 2, 3)
"""The step of the first at which each joins."""


def learned(training: DreamBooth) -> dict[str, Tensor]:
    weights = {f"{name}.{part}": row for name, rows in training.trained().items() for part, row in enumerate(rows)}
    return weights | training.state()


@pytest.mark.parametrize("small", [False, True])
def test_everybody_learns_what_they_would_learn_alone(begin: Begin, small: bool) -> None:
    alone = [begin(seed, of) for seed, of in enumerate(PEOPLE)]
    for training, join in zip(alone, JOINS, strict=True):
        for _ in range(STEPS - join):
            training.step()
    expected = [learned(training) for training in alone]
    for training in alone:
        training.close()

    together = [begin(seed, of) for seed, of in enumerate(PEOPLE)]
    for training in together:
        training.plan = SMALL if small else training.plan
    for step in range(STEPS):
        company = [training for training, join in zip(together, JOINS, strict=True) if join <= step]
        assert all(alike(company[0], other) for other in company)
        losses = gradients(company)
        for training in company:
            training.descend()
        assert len({float(loss) for loss in losses}) == len(company)

    for training, wanted, join in zip(together, expected, JOINS, strict=True):
        assert training.position == STEPS - join
        found = learned(training)
        assert found.keys() == wanted.keys()
        for name, value in wanted.items():
            # Adam divides by the root of tiny second moments, and so magnifies what another order of sums rounds away.
            torch.testing.assert_close(found[name], value, rtol=2e-2, atol=2e-4, msg=name)


def test_only_trainings_of_one_shape_go_together(begin: Begin) -> None:
    first = begin(0, RECIPE)
    assert alike(first, begin(1, RECIPE))
    assert not alike(first, begin(2, replace(RECIPE, rank=2)))
    other = begin(3, replace(RECIPE, batch_size=1))
    assert not alike(first, other)
    with pytest.raises(ValueError, match="cannot take a step together"):
        gradients([first, other])
    without_prior = begin(4, replace(RECIPE, prior_weight=0.0))
    assert not alike(first, without_prior)


def test_a_slot_is_free_again_after_its_training(begin: Begin, model: Resident) -> None:
    trainings = [begin(seed, RECIPE) for seed in range(TOGETHER)]
    assert len({training.slot for training in trainings}) == TOGETHER
    assert all(training.bank is trainings[0].bank for training in trainings)
    full = begin(9, RECIPE)
    assert full.bank is not trainings[0].bank
    trainings[1].close()
    assert model.training_slot(4) == (trainings[0].bank, trainings[1].slot)


def test_a_training_that_cannot_begin_keeps_no_slot(
    begin: Begin, model: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_memory(*_: object) -> Tensor:
        raise torch.OutOfMemoryError

    first = begin(0, RECIPE)
    with monkeypatch.context() as patch:
        patch.setattr(type(model.base), "encode_prompts", without_memory)
        with pytest.raises(torch.OutOfMemoryError):
            begin(1, replace(RECIPE, text_learning_rate=0.0))
    assert model.training_slot(RECIPE.rank) == (first.bank, first.slot + 1)
