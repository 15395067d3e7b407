"""Photos of several sizes in one training: nobody is left out, and company changes nothing."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gpu_worker import pipe
from gpu_worker.engine import training_job
from gpu_worker.engine.examples import Examples, Latents, turns
from gpu_worker.engine.recipes import Recipe
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.training import SMALL, DreamBooth, alike, gradients
from tests.gpu_worker.engine.test_choosing import request_for
from tests.gpu_worker.engine.test_recovery import RECIPE as OF_JOB
from tests.gpu_worker.engine.test_training_together import RECIPE, learned

SQUARE, TALL = (8, 8), (10, 6)
STEPS = 5
Begin = Callable[..., DreamBooth]


def examples(count: int, size: tuple[int, int], seed: int, *prompts: str) -> Examples:
    mean = torch.randn(count, 2, 4, *size, generator=torch.Generator().manual_seed(seed))
    return Examples(Latents(mean, torch.full_like(mean, 0.1)), [prompts] * count)


@pytest.fixture
def begin(model: Resident, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    monkeypatch.setattr(model, "together", 2)
    started: list[DreamBooth] = []

    def start(seed: int, of: Recipe = RECIPE, tall: int = 1, square: int = 4) -> DreamBooth:
        photos = [examples(tall, TALL, seed, "a photo of sks dog"), examples(square, SQUARE, seed + 1, "sks dog")]
        classes = [examples(3, SQUARE, seed + 2, "a photo of a dog")] if of.prior else []
        if of.teacher:
            classes = photos
        started.append(DreamBooth(model, of, photos, classes, identifier="sks", seed=seed))
        return started[-1]

    yield start
    for training in started:
        training.close()


def test_every_photo_is_seen_as_often_as_any_other(begin: Begin) -> None:
    """One photo alone in its bucket, though a batch holds two rows, and four that share one."""
    draws = begin(0, replace(RECIPE, steps=50)).draws
    seen = Counter((bucket, at) for bucket, row in zip(draws.bucket, draws.photo.tolist(), strict=True) for at in row)
    assert seen == dict.fromkeys([(0, 0), (1, 0), (1, 1), (1, 2), (1, 3)], 20)
    assert len(set(draws.bucket[:10])) == 2  # and not one after the other


@pytest.mark.parametrize("counts", [[1, 1], [3, 5, 1], [7]])
def test_turns_go_round(counts: list[int]) -> None:
    found = Counter(turns(counts, 10 * sum(counts) + 1, torch.Generator().manual_seed(0)))
    assert all(0 <= found[bucket] - 10 * count <= 1 for bucket, count in enumerate(counts))


def test_class_images_have_the_photos_size_or_a_pass_of_their_own(begin: Begin) -> None:
    trainer = begin(0)
    for step, bucket in enumerate(trainer.draws.bucket):
        trainer.position = step
        shown = [tuple(rows.noisy.shape) for rows in trainer.rows()]
        assert shown == trainer.shapes() == ([(2, 4, *TALL), (2, 4, *SQUARE)], [(4, 4, *SQUARE)])[bucket]
    without, taught = begin(1, replace(RECIPE, prior_weight=0.0)), begin(2, replace(RECIPE, teacher=True))
    assert without.shapes() == [(2, 4, *(TALL, SQUARE)[without.draws.bucket[0]])]
    assert taught.shapes() == [(4, 4, *(TALL, SQUARE)[taught.draws.bucket[0]])]
    assert taught.step().isfinite()
    assert taught.held_out_loss() > 0


def test_steps_of_one_shape_are_taken_together_and_teach_the_same(begin: Begin) -> None:
    def alone(seed: int) -> dict[str, torch.Tensor]:
        training = begin(seed, tall=2, square=2)
        for _ in range(STEPS):
            training.step()
        training.close()
        return learned(training)

    expected, together = [alone(3), alone(4)], [begin(seed, tall=2, square=2) for seed in (3, 4)]
    company = [step_of(together) for _ in range(STEPS)]
    assert len(set(company)) == 2
    for training, wanted in zip(together, expected, strict=True):
        found = learned(training)
        for name, value in wanted.items():
            torch.testing.assert_close(found[name], value, rtol=2e-2, atol=2e-4, msg=name)


def step_of(trainings: list[DreamBooth]) -> bool:
    """Take a step in one pass if it can be, and tell whether it was."""
    together = alike(*trainings)
    if together:
        gradients(trainings)
    for training in trainings:
        if together:
            training.descend()
        else:
            training.step()
    return together


def test_the_small_plan_takes_either_size_in_parts(begin: Begin) -> None:
    trainer = begin(5)
    trainer.position = trainer.draws.bucket.index(0)
    (whole,) = gradients([trainer])
    wanted = {name: tensor.grad.clone() for name, tensor in trainer.parameters.items() if tensor.grad is not None}
    trainer.optimizer.zero_grad()
    trainer.plan = SMALL
    (parts,) = gradients([trainer])
    torch.testing.assert_close(parts, whole)
    for name, gradient in wanted.items():
        torch.testing.assert_close(trainer.parameters[name].grad, gradient, rtol=1e-3, atol=1e-6, msg=name)


def test_a_job_trains_its_photos_in_the_shape_that_cuts_least(
    model: Resident, photos: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(OF_JOB, steps=3, aspects=True, background_weight=0.5)
    monkeypatch.setattr(training_job, "choose_recipe", lambda *_: recipe)
    begun: list[Examples] = []

    class Noted(DreamBooth):
        def __init__(self, *given: Any, **named: Any) -> None:
            begun.extend(given[2])
            super().__init__(*given, **named)

    monkeypatch.setattr(training_job, "DreamBooth", Noted)
    order = pipe.Train(request=request_for("dog"), photos=photos, folder=tmp_path)
    *_, done = filter(None, training_job.train(model, order, tmp_path / "cache"))
    assert isinstance(done, pipe.TrainingDone)
    assert [(of_size.size, len(of_size.prompts)) for of_size in begun] == [((4, 10, 6), 1), ((4, 6, 10), 2)]
