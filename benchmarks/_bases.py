"""The bases that benchmarks run on: a folder, a hub id, or random weights in the shape of a real base.

With random weights everything is as slow as the real one, and as large; nothing has to be downloaded.
"""

from dataclasses import replace
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from benchmarks.main_job import BUNDLE
from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.sdxl import StableDiffusionXL


def open_base(source: str, device: str) -> BaseModel:
    match source:
        case "sd15-random":
            return sd15_random(device)
        case "sdxl-random":
            return sdxl_random(device)
        case _:
            return load_base(source, device)


def sd15_random(device: str) -> BaseModel:
    """Return a base of Stable Diffusion 1.5's shape."""
    small = _beginning(device)
    with small.device:
        networks = sd15_networks()
    return replace(small, **_settled(networks, small), digest="random weights in the shape of Stable Diffusion 1.5")


def sdxl_random(device: str) -> StableDiffusionXL:
    """Return a base of Stable Diffusion XL's shape."""
    small = _beginning(device)
    with small.device:
        networks = sdxl_networks()
    more = {"tokenizer_2": small.tokenizer, "digest": "random weights in the shape of Stable Diffusion XL"}
    return StableDiffusionXL(**vars(small) | _settled(networks, small) | more, zeros_for_empty=True)


def sd15_networks() -> dict[str, nn.Module]:
    """Return the networks of Stable Diffusion 1.5, by their names in a base."""
    return {
        "unet": UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8),
        "vae": _autoencoder(sample_size=512),
        "text_encoder": CLIPTextModel(_clip(width=768, layers=12)),
    }


def sdxl_networks() -> dict[str, nn.Module]:
    """Return the networks of Stable Diffusion XL as the configurations of its base 1.0 have them."""
    unet = UNet2DConditionModel(
        sample_size=128,
        cross_attention_dim=2048,
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=1280 + 6 * 256,
    )
    return {
        "unet": unet,
        "vae": _autoencoder(sample_size=1024, scaling_factor=0.13025),
        "text_encoder": CLIPTextModel(_clip(width=768, layers=12)),
        "text_encoder_2": CLIPTextModelWithProjection(_clip(width=1280, layers=32, projection_dim=1280)),
    }


def _autoencoder(**config: float) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        **config,
    )


def _clip(width: int, layers: int, **config: int) -> CLIPTextConfig:
    heads = width // 64
    return CLIPTextConfig(
        hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=heads, **config
    )


def _beginning(device: str) -> BaseModel:
    """Return the demo base with the words' length and the noise of Stable Diffusion, for larger networks to come in."""
    demo = load_base(str(BUNDLE / "base"), device)
    torch.manual_seed(0)
    scheduler = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    return replace(
        demo,
        tokenizer=CLIPTokenizer.from_pretrained(BUNDLE / "base" / "tokenizer", model_max_length=77),
        scheduler_config=dict(scheduler.config),
    )


def _settled(networks: dict[str, nn.Module], like: BaseModel) -> dict[str, Any]:
    """Return the networks at rest and as precise as those of a base that was loaded."""
    for name, network in networks.items():
        dtype = like.vae.dtype if name == "vae" else like.unet.dtype
        nn.Module.to(network, like.device, dtype).requires_grad_(False).eval()
    return networks
