"""Pictures that are scored as they are drawn, by what an adapter holds of its photos: a real embedder, a tiny model."""

import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from gpu_worker import pipe
from gpu_worker.engine.adapters import AdapterFile, AdapterHeader, file_digest, load_adapter, save_adapter
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.embedder import Embedders
from gpu_worker.engine.fidelity import Reference, refer
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.small_embedder import load_embedder
from gpu_worker.engine.studio import Studio
from storage.contract import Adapter, ImagineRequest
from tests.gpu_worker.engine.test_slots import random_weights
from tests.gpu_worker.test_fidelity import BUNDLE, photos


@pytest.fixture(scope="module")
def embedders() -> Embedders:
    return Embedders(*(load_embedder(BUNDLE / "embedders" / name) for name in ("choosing", "judging")))


@pytest.fixture
def model(base: BaseModel, embedders: Embedders) -> Resident:
    return Resident(base, slots=2, embedders=embedders)


@pytest.fixture
def reference(embedders: Embedders) -> Reference:
    return refer(embedders.choosing, photos("rex", "train"), "dog")


def publish(model: Resident, folder: Path, reference: Reference | None) -> Path:
    path = folder / f"{uuid.uuid4().hex}.safetensors"
    header = AdapterHeader(base_digest=model.base.digest, identifier="sks", class_noun="dog", rank=2, steps=1)
    save_adapter(path, AdapterFile(header, random_weights(model.serving, 2, seed=1), reference))
    return path


def drawn(model: Resident, adapter: Path, folder: Path, *, scored: bool) -> tuple[pipe.PictureFile, ...]:
    job = uuid.uuid4().hex
    (folder / job).mkdir()
    request = ImagineRequest(
        job=job,
        attempt=1,
        base="tiny",
        prompt="sks dog",
        seed=3,
        steps=1,
        count=2,
        scored=scored,
        adapter=Adapter(model=job, key="models/a", digest=file_digest(adapter)),
    )
    said: list[pipe.Report] = []

    def fail(_job: str, problem: Exception) -> None:
        raise problem

    studio = Studio(model, said.append, fail)
    studio.take(pipe.Imagine(request=request, adapter=adapter, folder=folder / job))
    while studio.busy:
        if batch := studio.choose():
            studio.draw(batch)
        studio.hand_over(patient=not batch)
    (done,) = [each for each in said if isinstance(each, pipe.ImaginingDone)]
    return done.pictures


def test_a_reference_comes_back_as_it_was_published(model: Resident, tmp_path: Path, reference: Reference) -> None:
    kept = publish(model, tmp_path, reference)
    assert load_adapter(kept, digest=None, base_digest=model.base.digest).reference == reference
    assert load_adapter(publish(model, tmp_path, None), digest=None, base_digest=model.base.digest).reference is None


def test_photos_of_the_subject_score_higher_than_another(model: Resident, tmp_path: Path, reference: Reference) -> None:
    path = publish(model, tmp_path, reference)
    scores = model.likeness(path, file_digest(path), [*photos("rex", "judge"), *photos("luna", "judge")])
    own, other = [score or 0.0 for score in scores[:8]], [score or 0.0 for score in scores[8:]]
    assert min(own) > 0.5 > max(other)


def test_each_picture_is_scored_where_that_is_asked_for(model: Resident, tmp_path: Path, reference: Reference) -> None:
    path = publish(model, tmp_path, reference)
    scores = [picture.score for picture in drawn(model, path, tmp_path, scored=True)]
    assert all(isinstance(score, float) for score in scores)
    assert len(set(scores)) == 2
    assert [picture.score for picture in drawn(model, path, tmp_path, scored=False)] == [None, None]


def test_what_nothing_tells_has_no_score(model: Resident, tmp_path: Path, reference: Reference) -> None:
    foreign = replace(reference, embedder="0" * 64)
    for held in (None, foreign):
        path = publish(model, tmp_path, held)
        assert [picture.score for picture in drawn(model, path, tmp_path, scored=True)] == [None, None]
