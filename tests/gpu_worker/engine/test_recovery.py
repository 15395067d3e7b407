"""A training that is killed, stopped, out of memory, out of disk or diverging: what it loses and what it keeps."""

import contextlib
import resource
import uuid
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import ImageStat
from safetensors import safe_open
from safetensors.torch import load_file

from gpu_worker import pipe
from gpu_worker.engine import course as training_course
from gpu_worker.engine import publishing, training_job
from gpu_worker.engine.adapters import file_digest, load_adapter
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.candidates import PATIENCE, points_to_try
from gpu_worker.engine.checkpoints import HEADER, Position, load_checkpoint
from gpu_worker.engine.choosing import Score
from gpu_worker.engine.loop import failure_reason
from gpu_worker.engine.recipes import Recipe
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import Pauses, PictureOrder, Sampler, draw
from gpu_worker.engine.training import Diverged, DreamBooth
from gpu_worker.engine.training_job import Stopping, train
from gpu_worker.engine.trials import CHOOSING
from storage.contract import FailureReason, Quality, Stage, SubjectKind, TrainRequest, Variant

STEPS = 13
SAVE_EVERY = 4
RECIPE = Recipe(
    learning_rate=1e-2,
    text_learning_rate=1e-2,
    rank=2,
    batch_size=2,
    prior_weight=0.5,
    class_images=3,
    views_per_photo=1,
    least_steps=1,
    most_steps=1,
    candidates=3,
    steps=STEPS,
    sampler=Sampler(steps=2, guidance_scale=2.0),
)
BRANCHES = {
    "prior and text": RECIPE,
    "no prior": replace(RECIPE, prior_weight=0.0),
    "resting text": replace(RECIPE, text_learning_rate=0.0),
    "average": replace(RECIPE, ema=0.9),
    "word": replace(RECIPE, text_learning_rate=0.0, word_learning_rate=1e-2),
    "teacher": replace(RECIPE, teacher=True, caption_dropout=0.2, aspects=True),
}


class Died(BaseException):
    """The engine's process is gone."""


class House:
    """Trains the same subject again and again on one model, and counts the steps that were run."""

    def __init__(self, model: Resident, folder: Path, photos: tuple[Path, ...]) -> None:
        self.model, self.folder, self.photos = model, folder, photos
        self.cache = folder / "cache"
        self.steps_run = 0
        self.dies_after = -1

    def order(self, checkpoint: Path | None = None) -> pipe.Train:
        request = TrainRequest(
            job="a" * 32,
            attempt=1,
            model="b" * 32,
            base="tiny",
            identifier="sks",
            class_noun="dog",
            subject_kind=SubjectKind.PET,
            quality=Quality.FAST,
            photos=tuple(f"photos/a/{place}.png" for place in range(len(self.photos))),
            class_agreed=True,
            seed=3,
        )
        folder = self.folder / uuid.uuid4().hex
        folder.mkdir()
        return pipe.Train(request=request, photos=self.photos, checkpoint=checkpoint, folder=folder)

    def work(self, checkpoint: Path | None = None) -> training_job.Reports:
        return train(self.model, self.order(checkpoint), self.cache)

    def finish(self, checkpoint: Path | None = None) -> pipe.TrainingDone:
        *_, done = filter(None, self.work(checkpoint))
        assert isinstance(done, pipe.TrainingDone)
        return done

    def run_until_step(self, step: int, checkpoint: Path | None = None) -> Path | None:
        """Die right after the step, and return the last checkpoint that was reported."""
        self.dies_after, last = self.steps_run + step, checkpoint
        with contextlib.suppress(Died):
            for report in self.work(checkpoint):
                last = report.path if isinstance(report, pipe.Checkpointed) else last
        self.dies_after = -1
        return last


@pytest.fixture
def house(
    model: Resident, tmp_path: Path, photos: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    """A house whose clock goes by the steps that were run, so that checkpoints come after every fourth."""
    house = House(model, tmp_path, photos)
    plain_step = DreamBooth.step

    def counted(self: DreamBooth) -> torch.Tensor:
        house.steps_run += 1
        loss = plain_step(self)
        if house.steps_run == house.dies_after:
            raise Died
        return loss

    clock = SimpleNamespace(monotonic=lambda: float(house.steps_run))
    monkeypatch.setattr(DreamBooth, "step", counted)
    monkeypatch.setattr(training_course, "time", clock)
    monkeypatch.setattr(publishing, "likeness", lambda *_: 0.5)
    monkeypatch.setattr(training_course, "CHECKPOINT_SECONDS", SAVE_EVERY - 0.5)
    use(monkeypatch, RECIPE)
    yield house
    assert model.slots.current is None


def use(monkeypatch: pytest.MonkeyPatch, recipe: Recipe) -> None:
    monkeypatch.setattr(training_job, "choose_recipe", lambda *_: recipe)


def pretend_embedders(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let scores be asked of embedders that see nothing: the tests say what they are."""
    monkeypatch.setattr(house.model, "embedders", SimpleNamespace(choosing=None, judging=None))
    monkeypatch.setattr(publishing, "refer", lambda *_: None)


def let_scores_differ(house: House, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Score candidates by their brightness, so that the best is rarely the last; return where scores are noted."""
    scores: list[float] = []

    def brightness(*given: Any) -> Score:
        scores.append(-sum(ImageStat.Stat(picture).mean[0] for picture in given[2].pictures))
        return score_of(scores[-1])

    pretend_embedders(house, monkeypatch)
    monkeypatch.setattr(training_job, "score_candidate", brightness)
    return scores


def score_of(total: float) -> Score:
    """A score that is only likeness; above 1 that would count no more."""
    return Score(likeness=total, adherence=0, copied=0, repeated=0, drift=0)


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_training_killed_at_any_step_ends_as_if_it_had_not_been(
    house: House, monkeypatch: pytest.MonkeyPatch, branch: str
) -> None:
    use(monkeypatch, BRANCHES[branch])
    let_scores_differ(house, monkeypatch)
    straight = house.finish()
    expected = [file_digest(path) for path in (straight.adapter, *(sample.path for sample in straight.samples))]
    for killed_after in {"prior and text": (4, 9, STEPS)}.get(branch, (10,)):
        house.steps_run = 0
        checkpoint = house.run_until_step(killed_after)
        done = house.finish(checkpoint)
        # What was saved is not done again: the checkpoint of step n is written as step n + 1 is about to begin.
        saved = (killed_after - 1) // SAVE_EVERY * SAVE_EVERY
        assert house.steps_run - STEPS == killed_after - saved <= SAVE_EVERY
        assert [file_digest(path) for path in (done.adapter, *(sample.path for sample in done.samples))] == expected


def test_runners_up_are_published_beside_the_best_and_outlive_the_worker(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first candidate is more like the subject, the second is the best of all."""
    parts = [(0.95, 0.2), (0.85, 0.6)]

    def judged() -> None:
        scores = iter(Score(likeness=like, adherence=right, copied=0, repeated=0, drift=0) for like, right in parts)
        monkeypatch.setattr(training_job, "score_candidate", lambda *_: next(scores))

    pretend_embedders(house, monkeypatch)
    points = sorted(points_to_try(RECIPE, CHOOSING.pictures, CHOOSING.sampler(RECIPE)))
    judged()
    straight = house.finish()
    assert [one.variant for one in straight.runners_up] == [Variant.ALIKE]
    files = [straight.adapter, *(one.adapter for one in straight.runners_up)]
    headers = [load_adapter(path, digest=None, base_digest=house.model.base.digest).header for path in files]
    assert [header.steps for header in headers] == [points[1], points[0]]
    assert straight.findings is not None
    assert straight.findings.adherence == 0.6

    judged()
    house.steps_run = 0
    checkpoint = house.run_until_step(points[0] + SAVE_EVERY)
    resumed = house.finish(checkpoint)
    again = [resumed.adapter, *(one.adapter for one in resumed.runners_up)]
    assert [file_digest(path) for path in again] == [file_digest(path) for path in files]
    assert len({sample.path for one in (resumed, *resumed.runners_up) for sample in one.samples}) == 8


@pytest.mark.parametrize(("weight", "rows"), [(0.0, 2), (0.5, 4)])
def test_a_prior_without_weight_has_no_teacher(
    house: House, monkeypatch: pytest.MonkeyPatch, weight: float, rows: int
) -> None:
    use(monkeypatch, replace(RECIPE, teacher=True, prior_weight=weight))
    widths: list[int] = []
    plain_step = DreamBooth.step

    def measured(self: DreamBooth) -> torch.Tensor:
        widths.append(self.draws.timestep.shape[1])
        return plain_step(self)

    monkeypatch.setattr(DreamBooth, "step", measured)
    house.finish()
    assert set(widths) == {rows}


def test_a_training_that_no_longer_pays_ends_with_its_best(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained far too long on purpose: the first candidate stays the best, and most of the steps are saved."""
    scores = iter(range(5, -95, -1))  # each clearly worse than the one before
    pretend_embedders(house, monkeypatch)
    monkeypatch.setattr(training_job, "score_candidate", lambda *_: score_of(next(scores) / 5))
    recipe = replace(RECIPE, steps=100, candidates=20)
    use(monkeypatch, recipe)
    points = sorted(points_to_try(recipe, CHOOSING.pictures, CHOOSING.sampler(recipe)))
    done = house.finish()
    assert done.steps == house.steps_run == points[PATIENCE] < recipe.steps
    published = load_adapter(done.adapter, digest=None, base_digest=house.model.base.digest)
    assert published.header.steps == points[0]


def test_a_training_stopped_anywhere_ends_as_if_it_had_not_been(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while a candidate is drawn, or the result."""
    scores = let_scores_differ(house, monkeypatch)
    expected = file_digest(house.finish().adapter)
    expected_scores = scores.copy()
    scores.clear()
    checkpoint, lives, done = None, 0, None
    while done is None:
        lives += 1
        work = house.work(checkpoint)
        for _, report in zip(range(9 + lives % 5), work, strict=False):  # nine are spent before the first step
            done = report if isinstance(report, pipe.TrainingDone) else done
        if done is None:
            saved = work.throw(Stopping())
            checkpoint = saved.path if isinstance(saved, pipe.Checkpointed) else checkpoint
        work.close()
    assert lives > 5
    assert scores == expected_scores
    assert file_digest(done.adapter) == expected


def test_a_training_that_diverges_goes_back_and_on_at_half_the_rate(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spoil(monkeypatch, [10])
    reports = list(filter(None, house.work()))
    steps = [report.step for report in reports if isinstance(report, pipe.Progress) and report.stage is Stage.TRAINING]
    assert steps == [5, 10, STEPS]
    assert house.steps_run == STEPS + 2  # back from 10 to the checkpoint of 8
    assert isinstance(reports[-1], pipe.TrainingDone)
    saved = [report for report in reports if isinstance(report, pipe.Checkpointed)]
    assert "goes back after step" in caplog.text
    last, tensors = load_checkpoint(saved[-1].path, training_of(saved[-1].path))
    assert last.rate == 0.5
    assert all(tensor.isfinite().all() for tensor in tensors.values())


def test_a_training_that_diverges_twice_has_failed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, [2, 6])
    with pytest.raises(Diverged):
        list(house.work())


def test_half_the_rate_outlives_the_worker(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, [2, 14])
    checkpoint = house.run_until_step(12)
    assert checkpoint is not None
    with pytest.raises(Diverged):  # for the second time
        list(house.work(checkpoint))


def test_what_does_not_fit_is_done_in_smaller_parts(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    straight = house.finish()
    limit_memory(monkeypatch, rows=2)  # a step has 4 rows, four pictures have 8
    house.steps_run = 0
    done = house.finish()
    assert house.steps_run == STEPS + 1
    before, after = (load_file(result.adapter) for result in (straight, done))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        torch.testing.assert_close(tensor, after[name], rtol=0.05, atol=0.005)


def test_memory_that_runs_out_later_costs_the_steps_since_the_last_checkpoint(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = house.work()
    for _ in work:
        if house.steps_run == 7:
            break
    limit_memory(monkeypatch, rows=2)
    *_, done = filter(None, work)
    assert isinstance(done, pipe.TrainingDone)
    assert house.steps_run == STEPS + 4  # step 8 failed after 5, 6 and 7


def test_memory_for_nothing_at_all_ends_the_job_with_that_reason(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.finish()  # so that the class images are there
    limit_memory(monkeypatch, rows=1)
    with pytest.raises(RuntimeError) as raised:
        list(house.work())
    assert failure_reason(raised.value) is FailureReason.OUT_OF_MEMORY


def test_pictures_that_do_not_fit_are_drawn_one_by_one(model: Resident, monkeypatch: pytest.MonkeyPatch) -> None:
    orders = [PictureOrder(prompt="a photo of a dog", seed=seed, strength=0.5) for seed in range(3)]
    sampler = Sampler(steps=2, guidance_scale=3.0)
    together = finished(draw(model, orders, sampler))
    limit_memory(monkeypatch, rows=1)
    torch.testing.assert_close(finished(draw(model, orders, sampler)), together, rtol=1e-4, atol=1e-4)


def test_a_full_disk_costs_a_checkpoint_and_nothing_else(house: House, caplog: pytest.LogCaptureFixture) -> None:
    work = house.work()
    for _ in work:
        if house.steps_run == 3:
            break
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        for _ in work:
            if house.steps_run == 5:
                break
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "goes on without a checkpoint at step 4" in caplog.text
    assert not list(house.folder.glob("*/*checkpoint*"))
    reports = list(filter(None, work))
    assert isinstance(reports[-1], pipe.TrainingDone)
    assert [report.step for report in reports if isinstance(report, pipe.Checkpointed)] == [8, 12]


def spoil(monkeypatch: pytest.MonkeyPatch, at: list[int]) -> None:
    """Let the weights become NaN after the n-th of all steps, for each n in `at`; its own loss is still fine."""
    plain_step, run = DreamBooth.step, 0

    def step(self: DreamBooth) -> torch.Tensor:
        nonlocal run
        run += 1
        loss = plain_step(self)
        if run in at:
            next(iter(self.parameters.values())).detach().fill_(float("nan"))
        return loss

    monkeypatch.setattr(DreamBooth, "step", step)


def limit_memory(monkeypatch: pytest.MonkeyPatch, *, rows: int) -> None:
    """Let a network ask for far too much memory, for more than so many rows: the allocator's own error comes."""
    for name in ("predict", "encode_images"):
        monkeypatch.setattr(BaseModel, name, limited(getattr(BaseModel, name), rows))


def limited(plain: Callable[..., Any], rows: int) -> Callable[..., Any]:
    def run(self: BaseModel, batch: torch.Tensor, *rest: torch.Tensor) -> Any:
        if len(batch) > rows:
            torch.empty(1 << 55, dtype=torch.uint8)
        return plain(self, batch, *rest)

    return run


def finished(work: Pauses[torch.Tensor]) -> torch.Tensor:
    """Run a generator to its end and return what it returns."""

    results = []

    def follow() -> Generator[None, None, None]:
        result = yield from work
        results.append(result)

    list(follow())
    return results[0]


def training_of(path: Path) -> str:
    """Read which training a checkpoint belongs to."""
    with safe_open(path, framework="pt") as file:
        return Position.model_validate_json(file.metadata()[HEADER]).training
