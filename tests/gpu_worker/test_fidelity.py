"""The scores of the shipped embedders, on the shipped sample photos."""

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageFilter

from gpu_worker.engine import fidelity
from gpu_worker.engine.embedder import Embedder
from gpu_worker.engine.small_embedder import load_embedder, to_tensor

BUNDLE = Path("gpu_worker/demo_bundle")
SUBJECTS = {"rex": "dog", "luna": "cat", "comet": "car"}
PLACES = ["forest", "room", "plain", "desert", "meadow", "beach", "snow", "city"]  # of each subject's judge/1..8.jpg


def photos(name: str, use: str) -> list[Image.Image]:
    """One subject's photos, in order."""
    shown = []
    for path in sorted((BUNDLE / "photos" / name / use).glob("*.jpg")):
        with Image.open(path) as photo:
            shown.append(photo.convert("RGB"))
    return shown


@pytest.fixture(scope="module", params=["choosing", "judging"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return load_embedder(BUNDLE / "embedders" / request.param)


@pytest.mark.parametrize(("name", "class_name"), SUBJECTS.items())
def test_other_photos_of_a_subject_score_about_one(embedder: Embedder, name: str, class_name: str) -> None:
    score = fidelity.score_subject(embedder, photos(name, "train"), photos(name, "judge"), class_name)
    assert 0.85 < score.score < 1.2
    assert score.floor < score.ceiling
    assert score.score == pytest.approx((score.cosine - score.floor) / (score.ceiling - score.floor))
    assert len(score.cosines) == 6


@pytest.mark.parametrize("name", SUBJECTS)
def test_another_subject_scores_about_zero(embedder: Embedder, name: str) -> None:
    for other in set(SUBJECTS) - {name}:
        score = fidelity.score_subject(embedder, photos(other, "judge"), photos(name, "judge"), SUBJECTS[name])
        assert score.score < 0.35, other


@pytest.mark.parametrize("name", SUBJECTS)
def test_photos_through_the_autoencoder_keep_their_score(embedder: Embedder, name: str) -> None:
    vae = AutoencoderKL.from_pretrained(BUNDLE / "base" / "vae", dtype=torch.float32)
    with torch.inference_mode():
        decoded = vae.decode(vae.encode(to_tensor(photos(name, "train"))).latent_dist.mean).sample.clamp(-1, 1)
    pixels = ((decoded + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    through = [Image.fromarray(picture) for picture in pixels]
    assert fidelity.score_subject(embedder, through, photos(name, "judge"), SUBJECTS[name]).score >= 0.9


def test_an_unknown_class_is_held_against_all_others(embedder: Embedder) -> None:
    known = fidelity.score_subject(embedder, photos("rex", "train"), photos("rex", "judge"), " Dog ")
    unknown = fidelity.score_subject(embedder, photos("rex", "train"), photos("rex", "judge"), "teapot")
    assert unknown.floor != known.floor
    assert unknown.ceiling == known.ceiling


@pytest.mark.parametrize(("name", "class_name"), SUBJECTS.items())
def test_a_reference_scores_without_the_photos_as_they_do(embedder: Embedder, name: str, class_name: str) -> None:
    reference = fidelity.refer(embedder, photos(name, "train"), class_name)
    cosines = reference.cosines(embedder, photos(name, "judge"))
    score = fidelity.score_subject(embedder, photos(name, "judge"), photos(name, "train"), class_name)
    assert [reference.score(cosine) for cosine in cosines] == pytest.approx(
        [(cosine - score.floor) / (score.ceiling - score.floor) for cosine in score.cosines]
    )
    assert reference.embedder == embedder.digest != ""


def test_a_score_needs_two_photos_and_a_picture(embedder: Embedder) -> None:
    with pytest.raises(ValueError, match="two photos"):
        fidelity.score_subject(embedder, photos("rex", "train"), photos("rex", "judge")[:1], "dog")
    with pytest.raises(ValueError, match="at least one picture"):
        fidelity.score_subject(embedder, [], photos("rex", "judge"), "dog")


def test_photos_that_show_different_things_are_refused(embedder: Embedder) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8)
    mixed = [Image.fromarray(noise[0]), *(photos(name, "train")[at] for at, name in enumerate(SUBJECTS))]
    with pytest.raises(ValueError, match="as alike to other individuals"):
        fidelity.score_subject(embedder, photos("rex", "judge"), mixed, "dog")


@pytest.mark.parametrize("name", SUBJECTS)
def test_places_are_recognised_and_wrong_ones_fail(embedder: Embedder, name: str) -> None:
    shown = photos(name, "judge")
    assert fidelity.score_places(embedder, shown, PLACES) >= 0.85
    assert fidelity.score_places(embedder, shown, PLACES[1:] + PLACES[:1]) <= 0.15


def test_an_unknown_place_is_refused(embedder: Embedder) -> None:
    with pytest.raises(ValueError, match="knows no place called atlantis"):
        fidelity.score_places(embedder, photos("rex", "train")[:1], ["atlantis"])


def test_a_near_copy_is_found(embedder: Embedder) -> None:
    known = photos("rex", "train")
    soft = known[2].resize((64, 64)).filter(ImageFilter.GaussianBlur(0.6))
    mirrored = known[4].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    closer = known[1].crop((26, 26, 486, 486))
    assert fidelity.find_copies(embedder, [photos("rex", "judge")[0], soft, mirrored, closer], known) == [1, 2, 3]


@pytest.mark.parametrize("name", SUBJECTS)
def test_the_subject_in_a_new_scene_is_no_copy(embedder: Embedder, name: str) -> None:
    assert fidelity.find_copies(embedder, photos(name, "judge"), photos(name, "train")) == []


def test_one_backdrop_with_another_subject_is_no_copy(embedder: Embedder) -> None:
    backdrop = photos("rex", "train")[3].getpixel((5, 5))
    assert isinstance(backdrop, tuple)
    empty = Image.new("RGB", (512, 512), backdrop)
    assert fidelity.find_copies(embedder, [empty], photos("rex", "train")) == []
