from pathlib import Path

import pytest
import torch

from gpu_worker.engine.__main__ import DEMO_BASE
from gpu_worker.engine.base_files import digest_of, load_base
from gpu_worker.engine.base_model import BaseModel, Family, UnfitBase
from tests.gpu_worker.engine.conftest import tiny_pipeline


def test_a_base_says_what_it_is(base: BaseModel) -> None:
    assert (base.resolution, base.pixels_per_latent, base.size_multiple) == (32, 4, 8)
    assert base.family is Family.DEMO
    assert base.prediction_type == "v_prediction"
    assert base.device == torch.device("cpu")


def test_images_survive_the_way_into_latents_and_back_in_shape_and_range(base: BaseModel) -> None:
    pixels = torch.rand(2, 3, 32, 32) * 2 - 1
    mean, std = base.encode_images(pixels)
    assert mean.shape == std.shape == (2, 4, 8, 8)
    decoded = base.decode(mean)
    assert decoded.shape == pixels.shape
    assert 0 <= decoded.min() <= decoded.max() <= 1


def test_the_autoencoders_scale_is_applied(base: BaseModel) -> None:
    pixels = torch.rand(1, 3, 32, 32)
    unscaled = base.vae.encode(pixels).latent_dist.mean
    assert torch.allclose(base.encode_images(pixels)[0], unscaled * 0.5)


def test_long_prompts_are_cut_and_short_ones_padded(base: BaseModel) -> None:
    assert base.encode_prompts(["a dog", "a photo of a dog " * 50]).shape == (2, 16, 16)


def test_the_digest_follows_the_weights_alone(base_folder: Path, tmp_path: Path) -> None:
    pipeline = tiny_pipeline()
    pipeline.save_pretrained(tmp_path / "same")
    assert digest_of(tmp_path / "same") == digest_of(base_folder)
    with torch.no_grad():
        pipeline.unet.conv_in.bias[0] += 1
    pipeline.save_pretrained(tmp_path / "other")
    assert digest_of(tmp_path / "other") != digest_of(base_folder)


def test_the_demo_bases_digest_is_that_which_its_models_were_trained_on() -> None:
    """It changes with the files alone: published models are refused on any other."""
    assert digest_of(DEMO_BASE) == "9483b16b441846372d8301fb63957cfab7003d0d5eef1e89d939d8b2360c745c"


def test_a_folder_without_a_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnfitBase, match=r"model_index\.json"):
        load_base(str(tmp_path), "cpu")


def test_an_unknown_prediction_is_refused(tmp_path: Path) -> None:
    tiny_pipeline("sample").save_pretrained(tmp_path / "base")
    with pytest.raises(UnfitBase, match="predicts sample"):
        load_base(str(tmp_path / "base"), "cpu")
