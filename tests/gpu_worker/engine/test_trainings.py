"""Several people's trainings in the real loop: company changes nothing for any of them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gpu_worker import pipe
from gpu_worker.engine import training_job
from gpu_worker.engine import trainings as in_work
from gpu_worker.engine.adapters import load_adapter
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.recipes import Recipe, choose_recipe
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import Sampler
from gpu_worker.engine.training import DreamBooth, Rows, gradients
from storage.contract import FailureReason, Stage
from tests.gpu_worker.engine.desk import Desk, of_kind


class Company:
    """Watches how many take a step in one pass, and lets passes break."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.too_many = 99
        self.problem: Exception = torch.OutOfMemoryError("CUDA out of memory")

    def gradients(self, trainings: Sequence[DreamBooth]) -> list[Tensor]:
        self.sizes.append(len(trainings))
        if len(trainings) >= self.too_many:
            raise self.problem
        return gradients(trainings)


@pytest.fixture(autouse=True)
def _pictures_take_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    def few(*given: Any) -> Recipe:
        return replace(choose_recipe(*given), sampler=Sampler(steps=2, guidance_scale=2.0), candidates=2)

    monkeypatch.setattr(training_job, "choose_recipe", few)


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch) -> Company:
    watched = Company()
    monkeypatch.setattr(in_work, "gradients", watched.gradients)
    return watched


@pytest.fixture
def desk(base: BaseModel, tmp_path: Path, photos: tuple[Path, ...]) -> Desk:
    return Desk(Resident(base, together=3), tmp_path, photos)


def done(desk: Desk) -> dict[str, pipe.TrainingDone]:
    return {report.job: report for report in of_kind(desk.reports, pipe.TrainingDone)}


def learned(desk: Desk, order: pipe.Train) -> dict[str, Tensor]:
    path = done(desk)[order.request.job].adapter
    weights = load_adapter(path, digest=None, base_digest=desk.loop.model.base.digest).weights
    return {f"{name}.{part}": row for name, rows in weights.items() for part, row in enumerate(rows)}


@pytest.fixture(scope="module")
def learned_alone() -> dict[int, dict[str, Tensor]]:
    """What a training of each seed has learned with nobody else there."""
    return {}


@pytest.fixture
def alone(
    desk: Desk, tmp_path: Path, learned_alone: dict[int, dict[str, Tensor]]
) -> Callable[[int], dict[str, Tensor]]:
    def train(seed: int) -> dict[str, Tensor]:
        if seed not in learned_alone:
            folder = tmp_path / f"alone-{seed}"
            folder.mkdir()
            other = Desk(desk.loop.model, folder, desk.photos)
            order = other.training(seed=seed)
            run(other, order)
            learned_alone[seed] = learned(other, order)
        return learned_alone[seed]

    return train


def assert_same(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        # Adam divides by the root of tiny second moments, and so magnifies what another order of sums rounds away.
        torch.testing.assert_close(found[name], value, rtol=2e-2, atol=2e-4, msg=name)


def run(desk: Desk, *orders: pipe.Train) -> None:
    desk.run(*orders, end_with=orders)


Alone = Callable[[int], dict[str, Tensor]]


def test_two_learn_together_what_each_learns_alone(desk: Desk, company: Company, alone: Alone) -> None:
    orders = {seed: desk.training(seed=seed) for seed in (1, 2)}
    began = time.monotonic()
    run(desk, *orders.values())
    assert max(company.sizes) == 2
    assert sum(report.seconds for report in done(desk).values()) <= time.monotonic() - began
    for seed, order in orders.items():
        assert_same(learned(desk, order), alone(seed))
        told = [report for report in of_kind(desk.reports, pipe.Progress) if report.job == order.request.job]
        assert [report.step for report in told if report.stage is Stage.TRAINING] == [5, 10]


def test_one_that_comes_late_joins_at_any_step(desk: Desk, company: Company, alone: Alone) -> None:
    first, late = desk.training(seed=1), desk.training(seed=2)
    desk.answers = [(pipe.Sampled, late)]  # in the middle of the first one's course
    desk.run(first, end_with=[first, late])
    assert set(company.sizes) == {2}
    assert len(company.sizes) <= 3
    assert_same(learned(desk, first), alone(1))
    assert_same(learned(desk, late), alone(2))


def test_cancelling_one_leaves_the_other_what_it_is(desk: Desk, company: Company, alone: Alone) -> None:
    stays, goes = desk.training(seed=1), desk.training(seed=2)
    desk.answers = [(pipe.Sampled, pipe.Cancel(job=goes.request.job))]
    run(desk, stays, goes)
    (cancelled,) = of_kind(desk.reports, pipe.JobCancelled)
    assert cancelled.job == goes.request.job
    assert 0 < len(company.sizes) < 10
    assert_same(learned(desk, stays), alone(1))


def test_a_loss_that_is_no_number_spoils_nobody_elses(
    desk: Desk, company: Company, alone: Alone, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine, broken = desk.training(seed=1), desk.training(seed=2)
    plain_rows = DreamBooth.rows

    def rows(self: DreamBooth) -> list[Rows]:
        spoilt = torch.nan if self.seed == 2 and self.position >= 3 else 1.0
        return [replace(shown, noisy=shown.noisy * spoilt) for shown in plain_rows(self)]

    monkeypatch.setattr(DreamBooth, "rows", rows)
    run(desk, fine, broken)
    (failed,) = of_kind(desk.reports, pipe.JobFailed)
    assert (failed.job, failed.reason) == (broken.request.job, FailureReason.DIVERGED)
    assert len(company.sizes) > 3
    assert_same(learned(desk, fine), alone(1))


def test_what_does_not_fit_together_goes_in_smaller_company(desk: Desk, company: Company, alone: Alone) -> None:
    company.too_many = 2
    orders = {seed: desk.training(seed=seed) for seed in (1, 2)}
    run(desk, *orders.values())
    assert company.sizes == [2]
    assert desk.loop.trainings.room.most == 1
    for seed, order in orders.items():
        assert_same(learned(desk, order), alone(seed))


def test_a_pass_that_breaks_is_taken_apart(desk: Desk, company: Company) -> None:
    company.too_many, company.problem = 2, ValueError("these two do not go together")
    orders = [desk.training(seed=seed) for seed in (1, 2)]
    run(desk, *orders)
    assert len(done(desk)) == 2
    assert company.sizes == [2]


def test_who_differs_takes_turns(desk: Desk, company: Company) -> None:
    orders = [desk.training(), desk.training(rank=3), desk.training().model_copy(update={"alone": True})]
    run(desk, *orders)
    assert company.sizes == []
    told = [report.job for report in of_kind(desk.reports, pipe.Progress) if report.stage is Stage.TRAINING]
    assert told != sorted(told, key=[order.request.job for order in orders].index)
    assert len(told) == 6


def test_a_person_with_many_lets_others_begin_first(desk: Desk) -> None:
    mine, yours = "a" * 32, "b" * 32
    desk.loop.model.together = 2
    orders = [desk.training(person=person) for person in (mine, mine, yours)]
    desk.answers = [(pipe.Sampled, None)]
    desk.run(*orders)
    began = {report.job for report in of_kind(desk.reports, pipe.Began)}
    assert began == {orders[0].request.job, orders[2].request.job}


def test_all_are_saved_when_the_engine_stops(desk: Desk, company: Company) -> None:
    orders = [desk.training(seed=seed) for seed in (1, 2)]
    desk.answers = [(pipe.Sampled, pipe.Stop())]
    desk.run(*orders)
    assert len(company.sizes) > 3
    saved = of_kind(desk.reports, pipe.Checkpointed)
    assert {report.job for report in saved} == {order.request.job for order in orders}
