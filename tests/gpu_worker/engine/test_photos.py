from pathlib import Path

import pytest
import torch
from PIL import Image

from gpu_worker import pipe
from gpu_worker.engine import training_job
from gpu_worker.engine.photos import emphasis_of, load_photos, to_image, to_pixels, views_of
from gpu_worker.engine.resident import Resident
from storage.contract import Box, Quality, SubjectKind, TrainRequest


def test_nothing_is_squeezed() -> None:
    photo = Image.new("RGB", (300, 200))
    photo.paste((255, 255, 255), (100, 50, 200, 150))  # a square in the middle
    view = views_of(photo, (100, 100))[0, 0] > 0
    assert int(view.any(0).sum()) == int(view.any(1).sum()) == 50


def test_views_are_laid_around_the_subject() -> None:
    """At the end of a wide photo most views would miss it."""
    photo = Image.new("RGB", (300, 100))
    photo.paste((255, 255, 255), (240, 30, 280, 70))
    found = views_of(photo, (50, 50), Box(left=240, top=30, right=280, bottom=70))
    missed = views_of(photo, (50, 50))
    assert found.shape == missed.shape
    assert all(view.max() > 0.9 and view[0].mean() > -0.8 for view in found)
    assert sum(bool(view.max() < 0.9) for view in missed) > len(missed) / 2


def test_half_of_the_views_are_mirrored() -> None:
    photo = Image.linear_gradient("L").rotate(90).resize((60, 40)).convert("RGB")
    views = views_of(photo, (16, 16))
    plain, mirrored = views.chunk(2)
    assert torch.equal(plain.flip(-1), mirrored)
    assert views.shape[1:] == (3, 16, 16)
    assert len(views_of(photo, (16, 16), flip=False)) * 2 == len(views)


def test_pixels_survive_the_way_there_and_back() -> None:
    photo = Image.radial_gradient("L").resize((8, 8)).convert("RGB")
    assert to_image(to_pixels(photo) / 2 + 0.5).tobytes() == photo.tobytes()


def test_a_training_sees_its_photos_around_their_subjects(
    model: Resident, photos: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crops = (Box(left=0, top=40, right=20, bottom=60), None, Box(left=60, top=5, right=75, bottom=30))
    request = TrainRequest(
        job="a" * 32, attempt=1, model="b" * 32, base="tiny", identifier="sks", class_noun="dog",
        subject_kind=SubjectKind.PET, quality=Quality.FAST, photos=("p/a/0", "p/a/1", "p/a/2"),
        crops=crops, seed=3,
    )  # fmt: skip
    seen: list[torch.Tensor] = []

    def note(views: torch.Tensor, model: Resident) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(views)
        return model.base.encode_images(views)

    monkeypatch.setattr(training_job, "_encode_views", note)
    work = training_job.train(model, pipe.Train(request=request, photos=photos, folder=tmp_path), tmp_path)
    while len(seen) < 3:
        next(work)
    work.close()
    side = (model.base.resolution, model.base.resolution)
    for views, photo, crop in zip(seen, load_photos(photos), crops, strict=True):
        assert torch.equal(views, views_of(photo, side, crop))
    assert not torch.equal(seen[0], views_of(load_photos(photos)[0], side))


def test_what_lies_around_the_subject_counts_less_and_the_whole_as_much() -> None:
    photo = Image.new("RGB", (100, 100))
    subject = Box(left=50, top=0, right=100, bottom=100)

    shares = emphasis_of(photo, (10, 10), subject, 0.25)

    assert shares.shape == (len(views_of(photo, (10, 10), subject)), 1, 10, 10)
    assert torch.allclose(shares.mean((1, 2, 3)), torch.ones(len(shares)))
    first = shares[0, 0]
    assert torch.allclose(first[:, 0] * 4, first[:, -1])
    mirrored = shares[len(shares) // 2, 0]
    assert torch.allclose(mirrored, first.flip(1))


def test_without_a_subject_every_place_counts_alike() -> None:
    photo = Image.new("RGB", (90, 60))

    assert torch.equal(emphasis_of(photo, (8, 8), None, 0.25), torch.ones(len(views_of(photo, (8, 8))), 1, 8, 8))
