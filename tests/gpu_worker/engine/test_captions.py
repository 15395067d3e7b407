"""Photos are called by their settings too, where an embedder is sure of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gpu_worker import pipe
from gpu_worker.engine import training_job
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.captions import photo_prompts
from gpu_worker.engine.embedder import Embedders
from gpu_worker.engine.examples import Examples
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.small_embedder import find_embedders
from gpu_worker.engine.training import DreamBooth
from storage.contract import SubjectKind
from tests.gpu_worker.engine.test_choosing import BUNDLE, photos_of, request_for
from tests.gpu_worker.engine.test_recovery import RECIPE

PLAIN = ("a photo of sks dog", "sks dog")
SETTINGS = ["in a room", "in a meadow", "at the beach", "", "in a city", "in the snow"]
"""Of the sample photos; the fourth has nothing behind its subject."""


@pytest.fixture(scope="module")
def embedders() -> Embedders:
    found = find_embedders(BUNDLE / "base")
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["rex", "luna", "comet"])
def test_sample_photos_are_called_by_their_settings(embedders: Embedders, name: str) -> None:
    found = photo_prompts(embedders, request_for("dog"), photos_of(name, "train"), 1.0)
    wanted = [tuple(f"{words} {setting}" for words in PLAIN) if setting else PLAIN for setting in SETTINGS]
    assert found == wanted


@pytest.mark.parametrize(("share", "plain"), [(0.5, 2), (0.25, 6)])
def test_a_share_of_the_prompts_names_the_setting(embedders: Embedders, share: float, plain: int) -> None:
    (found, *_) = photo_prompts(embedders, request_for("dog"), photos_of("rex", "train")[:1], share)
    assert found == PLAIN * (plain // 2) + ("a photo of sks dog in a room", "sks dog in a room")


def test_what_nobody_is_sure_of_is_not_said(embedders: Embedders, monkeypatch: pytest.MonkeyPatch) -> None:
    def doubtful(pictures: Sequence[Image.Image]) -> torch.Tensor:
        return torch.full((len(pictures), 11), 0.03).index_fill(1, torch.tensor(3), 0.7)

    monkeypatch.setattr(embedders.choosing, "where", doubtful)
    photos = photos_of("rex", "train")[:2]
    assert photo_prompts(embedders, request_for("dog"), photos, 1.0) == [PLAIN] * 2


def test_a_style_and_a_base_without_embedders_have_plain_prompts(embedders: Embedders) -> None:
    photos, style = photos_of("rex", "train")[:2], request_for("ink", SubjectKind.STYLE)
    assert photo_prompts(None, request_for("dog"), photos, 1.0) == [PLAIN] * 2
    assert photo_prompts(embedders, style, photos, 1.0) == [("a picture in sks ink style",)] * 2


def test_a_training_says_them(
    embedders: Embedders, base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_job, "choose_recipe", lambda *_: replace(RECIPE, steps=8, caption_share=1.0))
    begun: list[Examples] = []

    class Noted(DreamBooth):
        def __init__(self, *given: Any, **_: object) -> None:
            begun.extend(given[2])
            raise KeyboardInterrupt

    monkeypatch.setattr(training_job, "DreamBooth", Noted)
    photos = tuple(sorted((BUNDLE / "photos" / "rex" / "train").glob("*.jpg")))[:3]
    model = Resident(base, slots=1, embedders=embedders)
    order = pipe.Train(request=request_for("dog"), photos=photos, folder=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        list(training_job.train(model, order, tmp_path / "cache"))
    assert [said[0] for said in begun[0].prompts] == [f"{PLAIN[0]} {setting}" for setting in SETTINGS[:3]]
