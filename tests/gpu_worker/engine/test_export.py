"""The files that leave the engine, read back by the programs that they are meant for."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open

from gpu_worker.engine.adapters import (
    AdapterFile,
    AdapterHeader,
    AdapterRefused,
    file_digest,
    load_adapter,
    save_adapter,
)
from gpu_worker.engine.base_model import Family
from gpu_worker.engine.export import kohya_name, save_kohya
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, Sampler, draw, noise_of
from gpu_worker.engine.slots import WORD_LAYER
from tests.gpu_worker.engine.test_sampling import finish
from tests.gpu_worker.engine.test_slots import random_weights
from tests.gpu_worker.engine.test_training import RECIPE


def header(model: Resident, **changes: object) -> AdapterHeader:
    values = {
        "base_digest": model.base.digest,
        "identifier": "sks",
        "class_noun": "dog",
        "rank": 4,
        "steps": 10,
    }
    return AdapterHeader.model_validate(values | changes)


@pytest.fixture
def adapter(model: Resident) -> AdapterFile:
    weights = {
        name: (down.half().float(), up.half().float())
        for name, (down, up) in random_weights(model.serving, 4, seed=1).items()
    }
    return AdapterFile(header(model), weights)


def test_an_adapter_comes_back_as_it_was(model: Resident, adapter: AdapterFile, tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    save_adapter(path, adapter)
    read = load_adapter(path, digest=file_digest(path), base_digest=model.base.digest)
    assert read.header == adapter.header
    assert read.weights.keys() == adapter.weights.keys()
    for name, (down, up) in read.weights.items():
        assert torch.equal(down, adapter.weights[name][0])
        assert torch.equal(up, adapter.weights[name][1])
    assert [entry.name for entry in tmp_path.iterdir()] == ["adapter.safetensors"]


def test_a_damaged_or_foreign_adapter_is_refused(model: Resident, adapter: AdapterFile, tmp_path: Path) -> None:
    path = tmp_path / "adapter.safetensors"
    save_adapter(path, adapter)
    with pytest.raises(AdapterRefused, match="digest"):
        load_adapter(path, digest="0" * 64, base_digest=model.base.digest)
    with pytest.raises(AdapterRefused, match="another base"):
        load_adapter(path, digest=None, base_digest="0" * 64)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(AdapterRefused, match="cannot be read"):
        load_adapter(path, digest=None, base_digest=model.base.digest)


@pytest.mark.parametrize("which", ["adapter", "download"])
def test_diffusers_draws_the_same_picture_with_it(
    model: Resident, adapter: AdapterFile, base_folder: Path, tmp_path: Path, which: str
) -> None:
    if which == "adapter":
        save_adapter(tmp_path / "file.safetensors", adapter)
    else:
        save_kohya(tmp_path / "file.safetensors", adapter, model.base, RECIPE, photos=3, seed=1)
    model.serving.load(1, adapter.weights)
    order = PictureOrder(prompt="a photo of sks dog", seed=3, slot=1)
    ours = finish(draw(model, [order], Sampler(steps=3, guidance_scale=2.0)))
    plain = finish(draw(model, [PictureOrder(prompt=order.prompt, seed=3)], Sampler(steps=3, guidance_scale=2.0)))

    theirs = drawn_by(pipeline_with(base_folder, tmp_path), model)
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(plain, theirs, atol=1e-2)


def test_diffusers_draws_the_same_with_a_learned_word(
    model: Resident, adapter: AdapterFile, base_folder: Path, tmp_path: Path
) -> None:
    """The download loads as it is; setting the one row that its header gives makes the picture ours."""
    word, size = model.base.word_of("sks"), model.slots.layers[WORD_LAYER].in_shape[0]
    down = torch.nn.functional.one_hot(torch.tensor([word]), size).float()
    up = torch.randn(16, 1, generator=torch.Generator().manual_seed(0)) * 0.05
    adapter = AdapterFile(adapter.header, adapter.weights | {WORD_LAYER: (down, up)})
    save_kohya(tmp_path / "file.safetensors", adapter, model.base, RECIPE, photos=3, seed=1)
    model.serving.load(1, adapter.weights)
    sampler = Sampler(steps=3, guidance_scale=2.0)
    ours = finish(draw(model, [PictureOrder(prompt="a photo of sks dog", seed=3, slot=1)], sampler))

    pipeline = pipeline_with(base_folder, tmp_path)
    without = drawn_by(pipeline, model)
    with safe_open(tmp_path / "file.safetensors", framework="pt") as file:
        learned = json.loads(file.metadata()["dreambot.word"])
    row = pipeline.tokenizer(learned["token"], add_special_tokens=False).input_ids[0]
    pipeline.text_encoder.get_input_embeddings().weight.data[row] = torch.tensor(learned["vector"])
    torch.testing.assert_close(ours, drawn_by(pipeline, model), atol=1e-3, rtol=1e-3)
    assert not torch.allclose(ours, without, atol=1e-3)


def pipeline_with(base_folder: Path, folder: Path) -> StableDiffusionPipeline:
    """Return diffusers' own pipeline with the LoRA that lies in `folder`."""
    pipeline = StableDiffusionPipeline.from_pretrained(base_folder, safety_checker=None, requires_safety_checker=False)
    pipeline.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, timestep_spacing="trailing")
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(folder, weight_name="file.safetensors")
    return pipeline


def drawn_by(pipeline: StableDiffusionPipeline, model: Resident) -> torch.Tensor:
    pictures: torch.Tensor = pipeline(
        "a photo of sks dog",
        latents=noise_of(model.base, 3, 32, 32),
        num_inference_steps=3,
        guidance_scale=2.0,
        output_type="pt",
    ).images
    return pictures


def test_the_download_has_the_names_and_the_header_that_other_programs_look_for(
    model: Resident, adapter: AdapterFile, tmp_path: Path
) -> None:
    path = tmp_path / "download.safetensors"
    save_kohya(path, adapter, model.base, RECIPE, photos=3, seed=1)
    with safe_open(path, framework="pt") as file:
        keys, metadata = set(file.keys()), file.metadata()
        alphas = {float(file.get_tensor(key)) for key in keys if key.endswith(".alpha")}
        conv_up = file.get_tensor("lora_unet_mid_block_resnets_0_conv1.lora_up.weight")
    for name in (
        "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k",
        "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0",
        "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_ff_net_0_proj",
        "lora_te_text_model_encoder_layers_0_self_attn_q_proj",
        "lora_te_text_model_encoder_layers_1_mlp_fc2",
    ):
        assert {f"{name}.lora_down.weight", f"{name}.lora_up.weight", f"{name}.alpha"} <= keys
    assert all(key.count(".") <= 2 for key in keys)  # A1111 splits names at the first dot
    assert alphas == {4.0}
    assert conv_up.shape[2:] == (1, 1)
    assert metadata["modelspec.trigger_phrase"] == "sks dog"
    assert metadata["ss_network_dim"] == metadata["ss_network_alpha"] == "4"
    data = path.read_bytes()
    body = data[8 + int.from_bytes(data[:8], "little") :]
    assert metadata["sshs_model_hash"] == hashlib.sha256(body).hexdigest()


def test_text_model_is_put_back_once() -> None:
    flat = kohya_name("text_encoder.encoder.layers.0.mlp.fc1", Family.SD1)
    assert flat == kohya_name("text_encoder.text_model.encoder.layers.0.mlp.fc1", Family.SD1)
    assert flat == "lora_te_text_model_encoder_layers_0_mlp_fc1"
