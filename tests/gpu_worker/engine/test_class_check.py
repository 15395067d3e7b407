"""A class noun that does not fit is asked about; one that fits never is, also where embedders misread the subject."""

from pathlib import Path

import pytest

from gpu_worker import pipe
from gpu_worker.engine.class_check import seen_instead
from gpu_worker.engine.embedder import Embedders
from gpu_worker.engine.photos import load_photos
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.small_embedder import find_embedders
from gpu_worker.engine.training_job import train
from storage.contract import FailureReason, SubjectKind
from tests.gpu_worker.engine.test_choosing import BUNDLE, request_for

ROOT = Path(__file__).parents[3]
SAMPLES = [*sorted((BUNDLE / "photos").iterdir()), *sorted(ROOT.glob("benchmarks/subjects/*/"))]
REAL = {"cat2": "cat", "dog": "dog", "dog6": "dog"}
CAUGHT = {"bolt", "clover", "comet", "rex"}
"""The sample subjects that both embedders read right, and so notice when they are called something else."""


@pytest.fixture(scope="module")
def embedders() -> Embedders:
    found = find_embedders(BUNDLE / "base")
    assert found is not None
    return found


@pytest.mark.parametrize("which", ["train", "judge"])
@pytest.mark.parametrize("folder", SAMPLES, ids=lambda folder: folder.name)
def test_sample_subjects(embedders: Embedders, folder: Path, which: str) -> None:
    photos = load_photos(sorted((folder / which).glob("*.jpg")))
    noun = (folder / "class.txt").read_text().strip()
    assert seen_instead(embedders, noun, photos, [None] * len(photos)) is None
    if which == "train":  # looking takes a while; once a subject is enough to see what is noticed
        noticed = noun if folder.name in CAUGHT else None
        assert seen_instead(embedders, "frog", photos, [None] * len(photos)) == noticed


@pytest.mark.parametrize("name", REAL)
def test_real_photos_raise_no_false_alarm(embedders: Embedders, name: str) -> None:
    folder = ROOT.parent / "shared" / "data" / "dreambench" / name
    if not folder.is_dir():
        pytest.skip("the DreamBench photos are not here")
    photos = load_photos(sorted(folder.glob("*.jpg")))
    assert photos
    assert seen_instead(embedders, REAL[name], photos, [None] * len(photos)) is None


def test_a_class_that_nobody_knows_is_not_asked_about(embedders: Embedders) -> None:
    photos = load_photos(sorted((BUNDLE / "photos" / "rex" / "train").glob("*.jpg")))
    assert seen_instead(embedders, "teapot", photos, [None] * len(photos)) is None


def test_a_training_asks_before_it_begins_and_only_once(
    embedders: Embedders, model: Resident, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "embedders", embedders)
    photos = tuple(sorted((BUNDLE / "photos" / "rex" / "train").glob("*.jpg")))[:3]
    request = request_for("cat")

    def first_reports(**changes: object) -> list[pipe.Frame]:
        order = pipe.Train(request=request.model_copy(update=changes), photos=photos, folder=tmp_path)
        work = train(model, order, tmp_path)
        first = [report for _, report in zip(range(3), work, strict=False)]
        reports: list[pipe.Frame] = [report for report in first if isinstance(report, pipe.Frame)]
        work.close()
        return reports

    asked = pipe.JobFailed(job=request.job, reason=FailureReason.CLASS_DOUBTFUL, seen_class="dog")
    assert first_reports() == [asked]
    for begins in ({"class_agreed": True}, {"class_noun": "dog"}, {"subject_kind": SubjectKind.STYLE}):
        assert isinstance(first_reports(**begins)[0], pipe.Began)
