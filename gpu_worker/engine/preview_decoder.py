"""A tiny autoencoder (TAESD: github.com/madebyollin/taesd) that decodes previews, which nobody scores or keeps."""

from dataclasses import replace

import torch
from diffusers import AutoencoderTiny

from gpu_worker.engine.base_model import BaseModel, UnfitBase


def load_preview_decoder(base: BaseModel, source: str) -> BaseModel:
    """Return the base with the tiny autoencoder of a folder or hub id in place of its own. Raises `UnfitBase`."""
    try:
        tiny = AutoencoderTiny.from_pretrained(source, dtype=torch.float32, use_safetensors=True)
    except (OSError, ValueError) as problem:
        raise UnfitBase(f"{source} is neither a folder nor a hub id of a tiny autoencoder") from problem
    previewing = replace(base, vae=tiny.to(base.device).requires_grad_(False).eval())
    for name in ("latent_channels", "pixels_per_latent"):
        theirs, ours = (_shape(each)[name] for each in (previewing, base))
        if theirs != ours:
            raise UnfitBase(f"{source} does not fit the base: its {name} are {theirs}, not {ours}")
    return previewing


def _shape(base: BaseModel) -> dict[str, int]:
    return {"latent_channels": base.vae.config["latent_channels"], "pixels_per_latent": base.pixels_per_latent}
