"""What a person sets by hand reaches the training: the side that is trained at, and the words for other members."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gpu_worker import pipe
from gpu_worker.engine import training_job
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.training_side import fitted, training_side
from gpu_worker.prompts import class_prompts
from storage.contract import Stage, SubjectKind, TrainingOptions, class_image_prefix
from tests.gpu_worker.engine.test_choosing import request_for


@pytest.mark.parametrize(("asked", "side"), [(None, 32), (16, 16), (32, 32), (64, 32)])
def test_the_side_fits_the_base(model: Resident, asked: int | None, side: int) -> None:
    request = request_for("dog").model_copy(update={"options": TrainingOptions(resolution=asked)})
    assert model.base.resolution == 32
    assert training_side(model.base, request) == side


def test_a_class_image_is_made_as_large_as_the_photos() -> None:
    assert fitted(Image.new("RGB", (32, 32)), 16).size == (16, 16)


def test_a_training_at_half_the_side_with_words_of_ones_own(
    model: Resident, photos: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, sides = "a photo of a fox", set[int]()
    options = TrainingOptions(steps=10, rank=2, batch_size=2, class_images=2, class_prompt=own, resolution=16)
    request = request_for("dog").model_copy(update={"options": options})
    plain: Any = training_job._encode_views

    def note(views: torch.Tensor, resident: Resident) -> Any:
        sides.add(views.shape[-1])
        return plain(views, resident)

    monkeypatch.setattr(training_job, "_encode_views", note)
    work = training_job.train(model, pipe.Train(request=request, photos=photos, folder=tmp_path), tmp_path)
    steps = (one.step for one in work if isinstance(one, pipe.Progress) and one.stage is Stage.TRAINING)
    assert next(steps) == 5
    work.close()
    assert sides == {16}
    wording = class_prompts("dog", SubjectKind.PET, own)
    assert wording[:2] == (own, f"{own} on the moon")
    assert len(list((tmp_path / class_image_prefix(model.base.digest, wording, 32)).glob("*.png"))) == 2
