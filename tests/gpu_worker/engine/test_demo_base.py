"""The demo base really learns a subject: a short training on the sample photos, scored by the judging embedder."""

from pathlib import Path

import pytest

from benchmarks.main_job import BUNDLE, Bench, load_subject
from gpu_worker.engine.base_model import load_base
from gpu_worker.engine.resident import Resident
from storage.contract import TrainingOptions


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_short_training_teaches_the_subject_and_keeps_the_class(tmp_path: Path) -> None:
    model = Resident(load_base(str(BUNDLE / "base"), "cpu"))
    embedders = model.embedders
    assert embedders is not None
    bench = Bench(model, embedders.judging, tmp_path)
    rex = load_subject(BUNDLE / "photos" / "rex")
    untrained = bench.bounds(rex)
    run = bench.run(rex, 0, TrainingOptions(steps=120))
    assert run.subject_score > untrained.base + 0.1
    assert run.prompt_score >= 0.75
    assert run.class_kept >= 0.5
    assert run.copies == 0
    assert run.reported_score is not None
