"""Weights in eight bits: a quarter of fp32's memory, next to the same answers, and people learn as before."""

import argparse
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import nn

from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.eight_bits import WORK_BYTES, Weights, store_in_eight_bits, wants_eight_bits, weight_bytes
from gpu_worker.engine.examples import Examples
from gpu_worker.engine.fast_copy import SAMPLERS, Acceleration, load_fast_copy
from gpu_worker.engine.plan import choose_plan
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.training import DreamBooth, gradients
from tests.gpu_worker.engine.test_compiled import pictures
from tests.gpu_worker.engine.test_fast_copy import accelerated
from tests.gpu_worker.engine.test_slots import random_weights
from tests.gpu_worker.engine.test_training import RECIPE, latents


@pytest.fixture
def small(base_folder: Path) -> BaseModel:
    return load_base(str(base_folder), "cpu", Weights.EIGHT)


@pytest.mark.parametrize("spread", [1e-4, 1.0, 1e4])
def test_a_weight_loses_a_sixteenth_at_most(spread: float) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 16, 3)
    layer.weight.data *= spread * torch.logspace(-3, 0, 16).view(-1, 1, 1, 1)  # each channel of its own size
    before = layer.weight.detach().clone()
    store_in_eight_bits(nn.Sequential(layer))
    largest = before.abs().amax(dim=(1, 2, 3), keepdim=True)
    assert ((layer.weight - before).abs() <= before.abs() / 16 + largest / 2**17).all()


def test_an_empty_channel_stays_empty() -> None:
    layer = nn.Linear(4, 2)
    layer.weight.data[0] = 0
    store_in_eight_bits(nn.Sequential(layer))
    assert not layer.weight[0].any()
    assert layer.weight.isfinite().all()


def test_networks_take_a_quarter_and_answer_alike(base: BaseModel, small: BaseModel) -> None:
    for whole, stored in ((base.unet, small.unet), (base.text_encoder, small.text_encoder)):
        layers = [name for name, layer in whole.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
        assert layers
        for name in layers:
            expected = torch.float32 if name in {"conv_in", "conv_out"} else torch.float8_e4m3fn
            kept = stored.get_submodule(name).named_parameters()
            assert {tensor.dtype for part, tensor in kept if "weight" in part} == {expected}
    assert weight_bytes(small.unet) < 0.4 * weight_bytes(base.unet)
    assert weight_bytes(small.vae) == weight_bytes(base.vae)
    assert small.unet.dtype is torch.float32
    prompts = ["a photo of a dog"]
    inputs = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([500])
    ours, theirs = (each.predict(*inputs, each.encode_prompts(prompts)) for each in (small, base))
    assert 0 < (ours - theirs).norm() < 0.1 * theirs.norm()


def test_people_are_drawn_and_learned_on_it(small: BaseModel) -> None:
    model = Resident(small)
    model.serving.load(1, random_weights(model.serving, 2, seed=1))
    alone, together = pictures(model, [1]), pictures(model, [1, 0])
    torch.testing.assert_close(together[:1], alone, rtol=1e-3, atol=1e-3)
    assert not torch.equal(together[0], together[1])
    photos, classes = (Examples(latents(3, seed), [[words]] * 3) for seed, words in ((1, "sks dog"), (2, "a dog")))
    training = DreamBooth(model, RECIPE, [photos], [classes], identifier="sks", seed=5)
    before = training.held_out_loss()
    for _ in range(RECIPE.steps):
        gradients([training])
        training.descend()
    assert training.held_out_loss() < before
    training.close()


def test_the_fast_copy_is_kept_as_the_base_is(small: BaseModel, tmp_path: Path) -> None:
    StableDiffusionPipeline.save_lora_weights(tmp_path, unet_lora_layers=accelerated(small.unet)[1])
    fast = load_fast_copy(small, str(tmp_path), SAMPLERS[Acceleration.LCM])
    assert weight_bytes(fast.base.unet) == weight_bytes(small.unet)


def test_the_plan_says_so(small: BaseModel) -> None:
    arguments = argparse.Namespace(compile=False)
    assert choose_plan(Resident(small), arguments).startswith("cpu in float32, weights in eight bits, ")


@pytest.mark.parametrize(("spare", "eight"), [(-1, True), (0, False)])
def test_a_gpu_with_little_memory_asks_for_it(
    base: BaseModel, spare: int, eight: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = WORK_BYTES + weight_bytes(base.unet) + weight_bytes(base.vae) + spare
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (free, 1 << 40))
    networks = [base.unet, base.vae]
    assert wants_eight_bits(Weights.AUTO, networks, torch.device("cuda")) is eight
    assert not wants_eight_bits(Weights.AUTO, networks, torch.device("cpu"))
    assert not wants_eight_bits(Weights.FULL, networks, torch.device("cuda"))
