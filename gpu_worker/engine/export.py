"""The adapter as a download: the kohya layout, which A1111/Forge, ComfyUI, InvokeAI and diffusers all load.

Names are the diffusers paths with dots turned into underscores, behind `lora_unet_` or `lora_te_text_model_`; each
layer has `lora_down`, `lora_up` and `alpha` (kohya-ss/sd-scripts, networks/lora.py). Where there are two text encoders
they are `lora_te1_` and `lora_te2_`, and the U-Net's diffusers paths are read as well as those of the original code
(ComfyUI: comfy/lora.py; A1111: extensions-builtin/Lora/networks.py). Transformers 5 dropped `text_model.` from a text
encoder's paths, other programs still expect it, so it is put back. Header: `ss_*` as in sd-scripts' train_network.py
and ModelSpec 1.0.1 (github.com/Stability-AI/ModelSpec).
"""

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from gpu_worker.engine.adapters import AdapterFile
from gpu_worker.engine.base_model import BaseModel, Family
from gpu_worker.engine.files import write_tensors
from gpu_worker.engine.recipes import Recipe
from gpu_worker.engine.slots import WORD_LAYERS
from gpu_worker.prompts import subject_words

_ARCHITECTURE = {
    Family.SD1: "stable-diffusion-v1/lora",
    Family.SD2: "stable-diffusion-v2/lora",
    Family.SDXL: "stable-diffusion-xl-v1-base/lora",
}
_BASE_VERSION = {Family.SD1: "sd_v1", Family.SD2: "sd_v2", Family.SDXL: "sdxl_base_v1-0"}
_PREFIXES = {"unet": "lora_unet", "text_encoder": "lora_te_text_model"}
_XL_PREFIXES = _PREFIXES | {"text_encoder": "lora_te1_text_model", "text_encoder_2": "lora_te2_text_model"}


def save_kohya(path: Path, adapter: AdapterFile, base: BaseModel, recipe: Recipe, photos: int, seed: int) -> None:
    """Write `adapter` in the kohya layout, in fp16, with its trigger phrase and hashes in the header."""
    tensors = kohya_tensors(adapter, base.family)
    write_tensors(path, tensors, _header(adapter, base, recipe, photos, seed) | _word(adapter, base) | _hashes(tensors))


def kohya_tensors(adapter: AdapterFile, family: Family) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, (down, up) in adapter.weights.items():
        if name in WORD_LAYERS:
            continue  # see `_word`
        flat = kohya_name(name, family)
        tensors[f"{flat}.lora_down.weight"] = down.to("cpu", torch.float16).contiguous()
        kernel = [1] * (down.dim() - 2)  # the up part of a convolution is a 1x1 convolution
        tensors[f"{flat}.lora_up.weight"] = up.to("cpu", torch.float16).reshape(*up.shape, *kernel).contiguous()
        tensors[f"{flat}.alpha"] = torch.tensor(float(down.shape[0]), dtype=torch.float16)
    return tensors


def _word(adapter: AdapterFile, base: BaseModel) -> dict[str, str]:
    """Return the identifier's learned vector as a header entry, if it has one.

    In the header, because diffusers refuses a file in which any tensor is no LoRA. Without the entry the LoRA loads
    everywhere but is less like the subject; with it, one sets the row of the token embedding that it names: `vector`
    is the first text encoder's, `vector_2` the second one's.
    """
    vectors: dict[str, list[float]] = {}
    for key, layer in zip(("vector", "vector_2"), WORD_LAYERS, strict=True):
        if layer in adapter.weights:
            down, up = adapter.weights[layer]
            vector = base.vector_of(int(down[0].argmax()), layer) + up[:, 0].to(base.device)
            vectors[key] = [round(value, 5) for value in vector.tolist()]
    return {"dreambot.word": json.dumps({"token": adapter.header.identifier, **vectors})} if vectors else {}


def kohya_name(layer: str, family: Family) -> str:
    """Turn `unet.mid_block.x.to_q` into `lora_unet_mid_block_x_to_q`, and likewise for the text encoders."""
    network, path = layer.split(".", 1)
    prefix = (_XL_PREFIXES if family is Family.SDXL else _PREFIXES)[network]
    return f"{prefix}_{re.sub(r'^text_model[.]', '', path).replace('.', '_')}"


def _header(adapter: AdapterFile, base: BaseModel, recipe: Recipe, photos: int, seed: int) -> dict[str, str]:
    header = adapter.header
    trigger = subject_words(header.identifier, header.class_noun)
    rank = str(header.rank)
    return {
        "format": "pt",
        "ss_network_module": "networks.lora",
        "ss_network_dim": rank,
        "ss_network_alpha": rank,
        "ss_network_args": json.dumps({"conv_dim": rank, "conv_alpha": rank}),
        "ss_base_model_version": _BASE_VERSION.get(base.family, "other"),
        "ss_v2": str(base.family is Family.SD2),
        "ss_output_name": trigger.replace(" ", "-"),
        "ss_tag_frequency": json.dumps({"photos": {trigger: photos}}),
        "ss_num_train_images": str(photos),
        "ss_steps": str(header.steps),
        "ss_learning_rate": str(recipe.learning_rate),
        "ss_text_encoder_lr": str(recipe.text_learning_rate),
        "ss_resolution": f"({base.resolution}, {base.resolution})",
        "ss_seed": str(seed),
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": _ARCHITECTURE.get(base.family, "stable-diffusion-v1/lora"),
        "modelspec.implementation": "diffusers",
        "modelspec.title": trigger,
        "modelspec.date": datetime.now(UTC).isoformat(timespec="seconds"),
        "modelspec.trigger_phrase": trigger,
        "modelspec.usage_hint": f'Write "{trigger}" in the prompt where the subject should be.',
        "modelspec.resolution": f"{base.resolution}x{base.resolution}",
        "modelspec.prediction_type": "epsilon" if base.prediction_type == "epsilon" else "v",
    }


def _hashes(tensors: dict[str, Tensor]) -> dict[str, str]:
    """Return the two hashes by which other programs know the same weights under different headers."""
    body = save(tensors, {})
    data = body[8 + int.from_bytes(body[:8], "little") :]
    legacy = body[0x100000 : 0x100000 + 0x10000]
    return {
        "sshs_model_hash": hashlib.sha256(data).hexdigest(),
        "sshs_legacy_hash": hashlib.sha256(legacy).hexdigest()[:8],
    }
