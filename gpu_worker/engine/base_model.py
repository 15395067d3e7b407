"""The base model: a latent diffusion model of the Stable Diffusion 1.x/2.x family behind one small interface.

Nothing else in the engine knows how the family's networks are called. Diffusers reads the files (safetensors only),
Accelerate chooses the device and the mixed precision; the weights are frozen, and a person's share lives in `slots.py`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.utils import logging as diffusers_logging
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer
from transformers.utils import logging as transformers_logging

PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
"""The folders of a pipeline that this engine reads; their files together make its digest."""


class Family(StrEnum):
    """What the recipes tell apart: Stable Diffusion 1.x, 2.x, and small models such as the demo base."""

    DEMO = "demo"
    SD1 = "sd1"
    SD2 = "sd2"


class UnfitBase(Exception):
    """The folder or hub id holds no text-to-image model of the Stable Diffusion 1.x/2.x family."""


@dataclass(frozen=True, kw_only=True)
class BaseModel:
    """A frozen base on its device. Latents are scaled by the autoencoder's factor everywhere outside this class."""

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

    def tokenize(self, prompts: Sequence[str]) -> Tensor:
        """Return token ids [B, L], cut and padded to the text encoder's length."""
        tokens = self.tokenizer(
            list(prompts),
            padding="max_length",
            truncation=True,
            max_length=self.tokenizer.model_max_length,
            return_tensors="pt",
        )
        return tokens.input_ids.to(self.device)

    def word_of(self, identifier: str) -> int:
        """Return the token id of an identifier; of several tokens, the first."""
        return int(self.tokenizer(identifier, add_special_tokens=False).input_ids[0])

    def vector_of(self, word: int) -> Tensor:
        """Return the text encoder's vector [d] of a token, in fp32."""
        weight: Tensor = self.text_encoder.get_parameter("embeddings.token_embedding.base.weight")
        return weight[word].float()

    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Return text embeddings [B, L, d]; gradients flow into the slots in use unless the caller forbids them."""
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
            return self.unet(latents, timesteps, embeddings, return_dict=False)[0].float()


def load_base(source: str, device: str = "auto") -> BaseModel:
    """Load the base model from a folder or a hub id.

    `device` is `auto`, `cpu` or `cuda`. On the CPU everything is fp32; on a GPU with bf16 the U-Net and the text
    encoder are bf16 and run under autocast, while the autoencoder, whose errors can be seen, stays fp32. Raises
    `UnfitBase`.
    """
    accelerator = _accelerator(device)
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    folder = _folder(source)
    dtype = torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32
    pipeline = StableDiffusionPipeline.from_pretrained(
        folder,
        dtype={"vae": torch.float32, "default": dtype},
        use_safetensors=True,
        safety_checker=None,
        requires_safety_checker=False,
    )
    _check(pipeline, source)
    for network in (pipeline.unet, pipeline.text_encoder, pipeline.vae):
        network.to(accelerator.device).requires_grad_(False).eval()
    if accelerator.device.type == "cuda":  # how cuDNN's fastest convolutions want them
        pipeline.unet.to(memory_format=torch.channels_last)
        pipeline.vae.to(memory_format=torch.channels_last)
    return BaseModel(
        tokenizer=pipeline.tokenizer,
        text_encoder=pipeline.text_encoder,
        vae=pipeline.vae,
        unet=pipeline.unet,
        scheduler_config=dict(pipeline.scheduler.config),
        accelerator=accelerator,
        folder=folder,
        digest=digest_of(folder),
    )


def _accelerator(device: str) -> Accelerator:
    on_cpu = device == "cpu" or (device == "auto" and not torch.cuda.is_available())
    if not on_cpu and not torch.cuda.is_available():
        raise UnfitBase(f"no CUDA device was found for --device {device}; use --device cpu or auto")
    bf16 = not on_cpu and torch.cuda.is_bf16_supported()
    return Accelerator(cpu=on_cpu, mixed_precision="bf16" if bf16 else "no")


def _folder(source: str) -> Path:
    """Return the folder of a base that is named by path or by hub id, fetching it once in the latter case."""
    if Path(source).is_dir():
        if not (Path(source) / "model_index.json").is_file():
            raise UnfitBase(f"{source} holds no model_index.json: it is not a diffusers pipeline folder")
        return Path(source)
    try:
        return Path(StableDiffusionPipeline.download(source, use_safetensors=True, safety_checker=None))
    except (OSError, ValueError) as problem:
        raise UnfitBase(f"{source} is neither a folder nor a model that could be fetched from the hub") from problem


def _check(pipeline: StableDiffusionPipeline, source: str) -> None:
    if pipeline.unet.config["in_channels"] != pipeline.vae.config["latent_channels"]:
        raise UnfitBase(f"{source} is an inpainting or editing model; a text-to-image model is needed")
    prediction = pipeline.scheduler.config["prediction_type"]
    if prediction not in {"epsilon", "v_prediction"}:
        raise UnfitBase(f"{source} predicts {prediction}; only epsilon and v_prediction are known")


def digest_of(folder: Path) -> str:
    """Return the SHA-256 in hex over the names and contents of the base's configuration and weight files."""
    total = hashlib.sha256()
    files = (file for part in PARTS for file in (folder / part).glob("*") if file.suffix in {".json", ".safetensors"})
    for file in sorted(files):
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        total.update(f"{file.relative_to(folder).as_posix()} {content}\n".encode())
    return total.hexdigest()
