"""The engine's loop on a real, tiny model: orders in, reports out, one small piece of work at a time."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gpu_worker import pipe
from gpu_worker.engine import course as training_course
from gpu_worker.engine import gauges
from gpu_worker.engine import loop as engine_loop
from gpu_worker.engine.adapters import file_digest
from gpu_worker.engine.loop import EngineLoop, failure_reason
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.training import Diverged, DreamBooth
from gpu_worker.engine.turns import TRAINING_FLOOR
from storage.contract import FailureReason, Stage
from tests.gpu_worker.engine.desk import Desk, of_kind


@pytest.fixture
def desk(model: Resident, tmp_path: Path, photos: tuple[Path, ...]) -> Iterator[Desk]:
    yield Desk(model, tmp_path, photos)
    assert model.slots.current is None


def test_a_training_from_photos_to_a_picture_with_the_result(desk: Desk) -> None:
    training = desk.training()
    desk.answers = [(pipe.TrainingDone, pipe.Stop())]
    reports = desk.run(training)
    assert isinstance(reports[0], pipe.Began)
    assert reports[0].steps == 10
    stages = [report.stage for report in of_kind(reports, pipe.Progress)]
    assert list(dict.fromkeys(stages)) == [Stage.PREPARING, Stage.CLASS_IMAGES, Stage.TRAINING, Stage.SAVING]
    progress = [report for report in of_kind(reports, pipe.Progress) if report.stage is Stage.TRAINING]
    assert [report.step for report in progress] == [5, 10]
    assert all(report.loss is not None and report.seconds_left is not None for report in progress)
    assert of_kind(reports, pipe.Sampled)[0].path.is_file()
    (done,) = of_kind(reports, pipe.TrainingDone)
    assert done.steps == 10
    assert done.download.is_file()
    assert len(done.samples) == 4

    desk.reports = []
    desk.answers = [(pipe.ImaginingDone, None)]
    reports = desk.run(desk.picture(done.adapter, file_digest(done.adapter), count=2))
    (drawn,) = of_kind(reports, pipe.ImaginingDone)
    assert [picture.seed for picture in drawn.pictures] == [2**32 - 1, 0]
    assert all(picture.path.is_file() and picture.width == 384 for picture in drawn.pictures)


def test_class_images_are_drawn_once_for_everybody(desk: Desk) -> None:
    first, second = desk.training(), desk.training()
    desk.answers = [(pipe.TrainingDone, second)]
    desk.run(first, end_with=[second])
    drew = {report.job for report in of_kind(desk.reports, pipe.Progress) if report.stage is Stage.CLASS_IMAGES}
    assert drew == {first.request.job}
    drawn = sorted(path.name for path in desk.folder.glob("cache/class-images/*/*/32/*.png"))
    assert drawn == ["0-0000.png", "1-0000.png", "2-0000.png"]  # of the plain prompt, and in two scenes


def test_a_picture_is_drawn_between_two_training_steps(desk: Desk) -> None:
    training, picture = desk.training(steps=40), desk.picture()
    desk.answers = [(pipe.Sampled, picture), (pipe.ImaginingDone, pipe.Cancel(job=training.request.job))]
    desk.answers += [(pipe.JobCancelled, pipe.Stop())]
    reports = desk.run(training)
    kinds = [type(report) for report in reports]
    assert kinds.index(pipe.ImaginingDone) < kinds.index(pipe.JobCancelled)
    between = reports[kinds.index(pipe.Sampled) : kinds.index(pipe.ImaginingDone)]
    assert not [report for report in of_kind(between, pipe.Progress) if report.step >= 40]
    (cancelled,) = of_kind(reports, pipe.JobCancelled)
    assert 0 < cancelled.step < 40
    assert not of_kind(reports, pipe.TrainingDone)


def test_training_goes_on_under_a_stream_of_pictures(desk: Desk) -> None:
    pictures = [desk.picture() for _ in range(12)]
    training = desk.training(steps=10)
    desk.answers = [(pipe.TrainingDone, pipe.Stop())]
    reports = desk.run(training, *pictures)
    assert len(of_kind(reports, pipe.ImaginingDone)) == 12
    kinds = [type(report) for report in reports]
    assert kinds.index(pipe.Began) < len(kinds) - 1 - kinds[::-1].index(pipe.ImaginingDone)


def test_a_picture_that_comes_while_training_runs_starts_within_one_step(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    training, picture = desk.training(steps=10), desk.picture()
    steps_before: list[int] = []
    plain_step = DreamBooth.step

    def step(self: DreamBooth) -> torch.Tensor:
        if self.position == 5:
            desk.orders.put(picture)  # it comes in the middle of the step
        if self.position >= 5 and not any(report.job == picture.request.job for report in began(desk.reports)):
            steps_before.append(self.position)
        return plain_step(self)

    monkeypatch.setattr(DreamBooth, "step", step)
    desk.run(training, end_with=[training])
    assert steps_before == [5]
    assert len(of_kind(desk.reports, pipe.ImaginingDone)) == 1


def test_training_keeps_its_floor_however_many_pictures_wait(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is told by a clock that a step of either kind moves by as much as it would take alone."""
    training, now = desk.training(steps=10), 0.0
    spent = {"training": 0.0, "pictures": 0.0}
    plain_train, plain_draw = EngineLoop._train_on, EngineLoop._draw_on

    def train_on(self: EngineLoop) -> None:
        nonlocal now
        now += 3.0
        spent["training"] += 3.0
        plain_train(self)

    def draw_on(self: EngineLoop) -> None:
        nonlocal now
        now += 1.0
        spent["pictures"] += 1.0
        if spent["pictures"] < 40:
            desk.orders.put(desk.picture())  # they never end
        plain_draw(self)
        if spent["pictures"] == 40:
            shares.append(spent["training"] / (spent["training"] + spent["pictures"]))

    shares: list[float] = []
    monkeypatch.setattr(EngineLoop, "_train_on", train_on)
    monkeypatch.setattr(EngineLoop, "_draw_on", draw_on)
    monkeypatch.setattr(engine_loop, "time", SimpleNamespace(monotonic=lambda: now))
    desk.answers = [(pipe.TrainingDone, pipe.Stop())]
    desk.run(desk.picture(), training)
    assert shares[0] == pytest.approx(TRAINING_FLOOR, abs=0.06)


def test_a_model_that_was_fetched_ahead_needs_no_file(desk: Desk, model: Resident) -> None:
    training = desk.training()
    done = of_kind(desk.run(training, end_with=[training]), pipe.TrainingDone)[0]
    digest = file_digest(done.adapter)
    picture = desk.picture(done.adapter, digest)
    bad = pipe.Prefetch(adapter=done.download, digest=digest)  # another file than the digest says
    ahead = pipe.Prefetch(adapter=done.adapter, digest=digest)
    desk.answers = [(pipe.ImaginingDone, None)]
    desk.run(bad, pipe.Stop())
    assert not model.people
    desk.run(ahead, pipe.Stop())
    done.adapter.unlink()
    desk.run(picture)
    assert of_kind(desk.reports, pipe.ImaginingDone)[0].job == picture.request.job


def began(reports: list[pipe.Frame]) -> list[pipe.Began]:
    return of_kind(reports, pipe.Began)


def test_a_stopped_training_is_finished_by_another_engine(desk: Desk, model: Resident, tmp_path: Path) -> None:
    whole = desk.training(job="a" * 32)
    desk.answers = [(pipe.TrainingDone, None)]
    straight = of_kind(desk.run(whole), pipe.TrainingDone)[0]
    expected = file_digest(straight.adapter)

    first = Desk(model, tmp_path / "first", desk.photos)
    first.folder.mkdir()
    first.answers = [(pipe.Sampled, pipe.Stop())]
    (saved,) = of_kind(first.run(first.training(job="a" * 32)), pipe.Checkpointed)
    assert 0 < saved.step < 10
    assert saved.digest == file_digest(saved.path)

    second = Desk(model, tmp_path / "second", desk.photos)
    second.folder.mkdir()
    second.answers = [(pipe.TrainingDone, None)]
    done = of_kind(second.run(second.training(job="a" * 32, checkpoint=saved.path)), pipe.TrainingDone)[0]
    steps = [report.step for report in of_kind(second.reports, pipe.Progress) if report.stage is Stage.TRAINING]
    assert min(steps) > saved.step
    assert file_digest(done.adapter) == expected


@pytest.mark.parametrize("spoil", ["truncated", "another"])
def test_a_checkpoint_that_does_not_fit_means_starting_anew(desk: Desk, spoil: str, tmp_path: Path) -> None:
    desk.answers = [(pipe.Sampled, pipe.Stop())]
    (saved,) = of_kind(desk.run(desk.training(steps=20)), pipe.Checkpointed)
    if spoil == "truncated":
        saved.path.write_bytes(saved.path.read_bytes()[:-50])
    desk.reports, desk.answers = [], [(pipe.TrainingDone, None)]
    steps = 20 if spoil == "truncated" else 10  # other steps: another training
    reports = desk.run(desk.training(steps=steps, checkpoint=saved.path))
    progress = [report.step for report in of_kind(reports, pipe.Progress) if report.stage is Stage.TRAINING]
    assert progress[0] == 5


def test_one_jobs_failure_is_its_own(desk: Desk, tmp_path: Path) -> None:
    broken = desk.training()
    broken = broken.model_copy(update={"photos": (tmp_path / "gone.png", *broken.photos[1:])})
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"nothing")
    corrupt, gone, fine = desk.picture(bad, "0" * 64), desk.picture(tmp_path / "gone", "0" * 64), desk.picture()
    desk.answers = [(pipe.ImaginingDone, broken)]
    reports = desk.run(corrupt, gone, fine, end_with=[broken])
    failed = {report.job: report.reason for report in of_kind(reports, pipe.JobFailed)}
    assert failed[corrupt.request.job] is failed[gone.request.job] is FailureReason.MODEL_CORRUPT
    assert of_kind(reports, pipe.ImaginingDone)[0].job == fine.request.job
    assert failed[broken.request.job] is FailureReason.PHOTOS_MISSING


def test_a_loss_that_is_no_number_ends_the_training(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DreamBooth, "step", _broken_step)
    desk.answers = [(pipe.JobFailed, None)]
    (failed,) = of_kind(desk.run(desk.training()), pipe.JobFailed)
    assert failed.reason is FailureReason.DIVERGED


def _broken_step(self: DreamBooth) -> torch.Tensor:
    self.position += 1
    return torch.tensor(float("nan"))


def test_checkpoints_come_by_the_clock_and_only_two_are_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_course, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(training_course, "CHECKPOINT_SHARE", float("inf"))
    training = desk.training(steps=10)
    desk.answers = [(pipe.TrainingDone, None)]
    saved = of_kind(desk.run(training), pipe.Checkpointed)
    assert [report.step for report in saved] == list(range(1, 10))
    assert len(list(training.folder.glob("checkpoint-*"))) == 2
    assert saved[-1].path.is_file()


def test_cancelling_what_is_not_there_does_nothing(desk: Desk) -> None:
    assert desk.run(pipe.Cancel(job="0" * 32), pipe.Stop()) == []


def test_it_says_how_full_it_is_and_that_it_is_done(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gauges, "EVERY_SECONDS", 0.0)
    pictures = [desk.picture() for _ in range(2)]
    desk.answers = [(pipe.ImaginingDone, desk.training()), (pipe.Sampled, None)]
    desk.run(*pictures)
    drawing = [status for status in desk.status if status.pictures]
    assert drawing[0].queue == (1, 1)  # two people, each of whom waits for one
    assert drawing[-1].batch_fill == pytest.approx(2 / desk.loop.studio.room.most)
    assert drawing[-1].picture_steps_s > 0
    training = desk.status[-1]
    assert (training.training, training.training_slots) == (1, 1)
    assert any(status.train_steps_s > 0 for status in desk.status)
    assert training.slots == 64
    assert 0 < training.memory_used_mb < training.memory_total_mb


def test_it_shows_life_while_it_works(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_loop, "ALIVE_SECONDS", 0.0)
    desk.answers = [(pipe.ImaginingDone, None)]
    desk.run(desk.picture())
    assert desk.signs_of_life >= 3


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), FailureReason.OUT_OF_MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), FailureReason.OUT_OF_MEMORY),
        (MemoryError(), FailureReason.OUT_OF_MEMORY),
        (Diverged(), FailureReason.DIVERGED),
        (ZeroDivisionError(), FailureReason.ENGINE_DIED),
    ],
)
def test_problems_have_reasons(problem: Exception, reason: FailureReason) -> None:
    assert failure_reason(problem) is reason
