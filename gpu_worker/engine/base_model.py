"""The base model: a latent diffusion model of the Stable Diffusion family behind one small interface.

Nothing else in the engine knows how the family's networks are called, or what else than text they want to be told. The
weights are frozen, and a person's share lives in `slots.py`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer, PreTrainedModel

from gpu_worker.engine.slots import TEXT_LAYERS


class Family(StrEnum):
    """What the recipes tell apart: Stable Diffusion 1.x, 2.x and XL, and small models such as the demo base."""

    DEMO = "demo"
    SD1 = "sd1"
    SD2 = "sd2"
    SDXL = "sdxl"


class UnfitBase(Exception):
    """The folder or hub id holds no text-to-image model of the Stable Diffusion 1.x, 2.x and XL families."""


@dataclass(frozen=True, kw_only=True)
class BaseModel:
    """A frozen base on its device, of Stable Diffusion 1.x and 2.x; `sdxl` says what is other in XL.

    Latents are scaled by the autoencoder's factor everywhere outside this class.
    """

    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    vae: AutoencoderKL
    unet: UNet2DConditionModel
    scheduler_config: dict[str, Any]
    accelerator: Accelerator
    folder: Path
    digest: str
    """SHA-256 over the files that the base was read from."""

    @property
    def device(self) -> torch.device:
        return self.accelerator.device

    def autocast(self) -> AbstractContextManager[Any]:
        return self.accelerator.autocast()

    @contextmanager
    def recomputing(self, wanted: bool) -> Iterator[None]:
        """Inside the block, if wanted, a backward pass computes the U-Net's activations again instead of keeping them.

        Gradient checkpointing (Chen et al. 2016, arXiv 1604.06174): far less memory for about a third more time.
        """
        if wanted:
            self.unet.enable_gradient_checkpointing()
        try:
            yield
        finally:
            if wanted:
                self.unet.disable_gradient_checkpointing()

    @property
    def family(self) -> Family:
        by_text_width = {768: Family.SD1, 1024: Family.SD2}
        return by_text_width.get(self.unet.config["cross_attention_dim"], Family.DEMO)

    @property
    def pixels_per_latent(self) -> int:
        return 2 ** (len(self.vae.config["block_out_channels"]) - 1)

    @property
    def resolution(self) -> int:
        """The side in pixels of the square pictures that the base was trained on."""
        return int(self.unet.config["sample_size"]) * self.pixels_per_latent

    @property
    def size_multiple(self) -> int:
        """Widths and heights in pixels must be multiples of this for the U-Net's levels to line up."""
        return int(self.pixels_per_latent * 2 ** (len(self.unet.config["block_out_channels"]) - 1))

    @property
    def prediction_type(self) -> str:
        """What the U-Net predicts: `epsilon` (the noise) or `v_prediction` (Salimans & Ho 2022)."""
        return str(self.scheduler_config["prediction_type"])

    @cached_property
    def alphas_cumprod(self) -> Tensor:
        """The noise schedule [train timesteps]: the share of signal power left at each timestep."""
        return DDPMScheduler.from_config(self.scheduler_config).alphas_cumprod.to(self.device)

    @property
    def text_encoders(self) -> Mapping[str, tuple[PreTrainedModel, re.Pattern[str]]]:
        """What reads prompts, by diffusers' names, each with what its layers are called that have a say in it."""
        return {"text_encoder": (self.text_encoder, TEXT_LAYERS)}

    def tokenize(self, prompts: Sequence[str], tokenizer: CLIPTokenizer | None = None) -> Tensor:
        """Return token ids [B, L], cut and padded to the text encoder's length; by default the first encoder's."""
        tokenizer = tokenizer or self.tokenizer
        tokens = tokenizer(
            list(prompts),
            padding="max_length",
            truncation=True,
            max_length=tokenizer.model_max_length,
            return_tensors="pt",
        )
        return tokens.input_ids.to(self.device)

    def word_of(self, identifier: str) -> int:
        """Return the token id of an identifier; of several tokens, the first."""
        return int(self.tokenizer(identifier, add_special_tokens=False).input_ids[0])

    def vector_of(self, word: int, layer: str) -> Tensor:
        """Return the vector [d] of a token in one of the `slots.WORD_LAYERS`, in fp32."""
        name, path = layer.split(".", 1)
        weight: Tensor = self.text_encoders[name][0].get_parameter(f"{path}.base.weight")
        return weight[word].float()

    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Return text embeddings [B, L, d], all that a family's U-Net wants to know of a prompt.

        Gradients flow into the slots in use unless the caller forbids them.
        """
        with self.autocast():
            return self.text_encoder(self.tokenize(prompts)).last_hidden_state

    @torch.no_grad()
    def encode_images(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation, each [B, c, h, w], of the latents of `pixels` [B, 3, H, W] in -1..1."""
        posterior = self.vae.encode(pixels.to(self.device, torch.float32), return_dict=False)[0]
        scale = self.vae.config["scaling_factor"]
        return posterior.mean * scale, posterior.std * scale

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Return pixels [B, 3, H, W] in 0..1."""
        pixels = self.vae.decode(latents.float() / self.vae.config["scaling_factor"], return_dict=False)[0]
        return (pixels / 2 + 0.5).clamp(0, 1)

    def predict(self, latents: Tensor, timesteps: Tensor, embeddings: Tensor) -> Tensor:
        """Run the U-Net on latents [B, c, h, w] at timesteps [B] and return its prediction, in fp32."""
        with self.autocast():
            return self.unet(**self.unet_inputs(latents, timesteps, embeddings))[0].float()

    def unet_inputs(self, latents: Tensor, timesteps: Tensor, embeddings: Tensor) -> dict[str, Any]:
        """Return what the U-Net is called with for `predict`."""
        return {
            "sample": latents,
            "timestep": timesteps,
            "encoder_hidden_states": embeddings,
            "return_dict": False,
        }
