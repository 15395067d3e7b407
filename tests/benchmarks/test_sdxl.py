"""The benchmarks on Stable Diffusion XL: in its true shape, and at a size at which both sides can be compared."""

import argparse
from pathlib import Path

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from benchmarks import _bases
from benchmarks.peer_dreambooth import Peer, PeerRecipe
from benchmarks.serving import Bench as Serving
from benchmarks.serving import difference
from benchmarks.training import Bench, loss_difference, unet_rows
from gpu_worker.engine.base_model import Family
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, Sampler, draw
from tests.gpu_worker.engine.test_sampling import finish
from tests.gpu_worker.engine.xl import WHOLE, tiny_sdxl


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In place of the other family's."""
    folder = tmp_path_factory.mktemp("tiny") / "sdxl"
    tiny_sdxl().save_pretrained(folder)
    return folder


def test_the_random_base_is_as_large_as_the_real_one() -> None:
    """In parameters; nothing is computed, and nothing takes memory."""
    with torch.device("meta"):
        networks = _bases.sdxl_networks()
    count = {name: sum(weight.numel() for weight in network.parameters()) for name, network in networks.items()}
    assert count == {
        "unet": 2_567_463_684,
        "vae": 83_653_863,
        "text_encoder": 123_060_480,
        "text_encoder_2": 694_659_840,
    }


def test_the_random_base_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """With networks that are small, but for the words that they know."""
    config = {"hidden_size": 20, "intermediate_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    small = {
        **{name: getattr(tiny_sdxl(), name) for name in ("unet", "vae")},
        "text_encoder": CLIPTextModel(CLIPTextConfig(**config)),
        "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**config, projection_dim=WHOLE)),
    }
    monkeypatch.setattr(_bases, "sdxl_networks", lambda: small)
    base = _bases.open_base("sdxl-random", "cpu")
    assert base.family is Family.SDXL
    assert base.encode_prompts(["a dog"]).shape == (1, 78, 40)
    picture = finish(draw(Resident(base), [PictureOrder(prompt="a dog", seed=1)], Sampler(steps=2, guidance_scale=5.0)))
    assert picture.isfinite().all()


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning")  # the peer's second adapter
def test_both_sides_draw_the_same_pictures(base_folder: Path, tmp_path: Path) -> None:
    small = argparse.Namespace(base=str(base_folder), device="cpu", users=2, steps=2, compile=False)
    serving = Serving(small, tmp_path)
    ours, theirs = (serving.side(name)()[0] for name in ("ours", "peft_mixed"))
    assert difference(ours, theirs) <= 1.5 / 255
    assert difference(ours, ours[::-1]) > 0.05


def test_both_sides_learn_the_same_in_company(bench: Bench) -> None:
    recipe = bench.recipe(2, 3)
    ours, peer = bench.ours(recipe), bench.peer(recipe)
    before = {name: up.clone() for name, (_, up) in unet_rows(ours).items()}
    assert loss_difference(ours, peer, bench.pictures, steps=2) < 1e-5
    learned = peer.weights()
    for name, (down, up) in unet_rows(ours).items():
        torch.testing.assert_close(learned[name], (down.detach(), up.detach()), rtol=1e-3, atol=1e-4)
        assert not torch.equal(before[name], up)
    with pytest.raises(ValueError, match="two text encoders"):
        Peer(bench.base, PeerRecipe(learning_rate=1e-3, steps=1, train_text_encoder=True), bench.pictures, seed=0)
