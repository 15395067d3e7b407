"""The demo base really learns a subject: a short training on the sample photos, scored by the judging embedder."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.main_job import BUNDLE, IDENTIFIER, Bench, Run, load_subject
from benchmarks.picture_tools import MOST_LOST, Portrayed, Workshop
from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.eight_bits import Weights
from gpu_worker.engine.resident import Resident
from gpu_worker.prompts import subject_words
from storage.contract import TrainingOptions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

REX = load_subject(BUNDLE / "photos" / "rex")


@dataclass(frozen=True)
class Learned:
    bench: Bench
    run: Run
    adapter: Path


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    folder = tmp_path_factory.mktemp("learned")
    model = Resident(load_base(str(BUNDLE / "base"), "cpu"))
    assert model.embedders is not None
    bench = Bench(model, model.embedders.judging, folder)
    run = bench.run(REX, 0, TrainingOptions(steps=120))
    (adapter,) = folder.glob("*/adapter.safetensors")
    return Learned(bench, run, adapter)


def test_a_short_training_teaches_the_subject_and_keeps_the_class(learned: Learned) -> None:
    run = learned.run
    assert run.subject_score > learned.bench.bounds(REX).base + 0.1
    assert run.prompt_score >= 0.75
    assert run.class_kept >= 0.5
    assert run.copies == 0
    assert run.reported_score is not None


def test_picture_tools_keep_the_subject(learned: Learned, tmp_path: Path) -> None:
    who = Portrayed(REX, subject_words(IDENTIFIER, REX.class_noun), learned.adapter)
    shop = Workshop(learned.bench.model, learned.bench.judge, who, tmp_path)
    given = shop.begun(6)
    before = shop.score(given)
    for tool, made in shop.reworked(given).items():
        assert shop.score(made) >= before - MOST_LOST, tool


def test_weights_in_eight_bits_keep_the_subject(learned: Learned, tmp_path: Path) -> None:
    who = Portrayed(REX, subject_words(IDENTIFIER, REX.class_noun), learned.adapter)
    small = Resident(load_base(str(BUNDLE / "base"), "cpu", Weights.EIGHT))
    whole, stored = (Workshop(model, learned.bench.judge, who, tmp_path) for model in (learned.bench.model, small))
    assert stored.score(stored.begun(4)) >= whole.score(whole.begun(4)) - MOST_LOST
