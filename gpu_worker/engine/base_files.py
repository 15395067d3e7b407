"""From a folder or a hub id to a base on its device.

Diffusers reads the files (safetensors only), Accelerate chooses the device and the mixed precision. Which family it is
stands in the pipeline's index, which is looked at before anything large is fetched.
"""

import hashlib
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers import DiffusionPipeline, StableDiffusionPipeline, StableDiffusionXLPipeline
from diffusers.utils import logging as diffusers_logging
from torch import nn
from transformers.utils import logging as transformers_logging

from gpu_worker.engine.base_model import BaseModel, UnfitBase
from gpu_worker.engine.eight_bits import Weights, store_in_eight_bits, wants_eight_bits
from gpu_worker.engine.sdxl import StableDiffusionXL

PARTS = ("unet", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")
"""The folders of a pipeline that this engine reads, of those that it has; their files together make its digest."""
PIPELINES: dict[str, tuple[type[DiffusionPipeline], dict[str, Any]]] = {
    "StableDiffusionPipeline": (StableDiffusionPipeline, {"safety_checker": None, "requires_safety_checker": False}),
    "StableDiffusionXLPipeline": (StableDiffusionXLPipeline, {"add_watermarker": False}),
}
"""What reads a base, by what its index says, and how to leave out what is not used here."""


def load_base(source: str, device: str = "auto", weights: Weights = Weights.AUTO) -> BaseModel:
    """Load the base model from a folder or a hub id.

    `device` is `auto`, `cpu` or `cuda`. On the CPU everything is fp32; on a GPU with bf16 the U-Net and the text
    encoders are bf16 and run under autocast, while the autoencoder, whose errors can be seen, stays fp32. `weights`
    says whether the former's are kept in eight bits. Raises `UnfitBase`.
    """
    accelerator = _accelerator(device)
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()
    kind, without = _pipeline_of(source)
    folder = _folder(source)
    dtype = torch.bfloat16 if accelerator.mixed_precision == "bf16" else torch.float32
    pipeline = kind.from_pretrained(
        folder, dtype={"vae": torch.float32, "default": dtype}, use_safetensors=True, **without
    )
    _check(pipeline, source)
    networks = {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}
    if wants_eight_bits(weights, networks.values(), accelerator.device):
        for name in networks.keys() - {"vae"}:
            store_in_eight_bits(networks[name])
    for network in networks.values():
        network.to(accelerator.device).requires_grad_(False).eval()
    if accelerator.device.type == "cuda":  # how cuDNN's fastest convolutions want them
        pipeline.unet.to(memory_format=torch.channels_last)
        pipeline.vae.to(memory_format=torch.channels_last)
    shared: dict[str, Any] = {
        "tokenizer": pipeline.tokenizer,
        "text_encoder": pipeline.text_encoder,
        "vae": pipeline.vae,
        "unet": pipeline.unet,
        "scheduler_config": dict(pipeline.scheduler.config),
        "accelerator": accelerator,
        "folder": folder,
        "digest": digest_of(folder),
    }
    if isinstance(pipeline, StableDiffusionPipeline):
        return BaseModel(**shared)
    return StableDiffusionXL(
        **shared,
        tokenizer_2=pipeline.tokenizer_2,
        text_encoder_2=pipeline.text_encoder_2,
        zeros_for_empty=pipeline.config["force_zeros_for_empty_prompt"],
    )


def _accelerator(device: str) -> Accelerator:
    on_cpu = device == "cpu" or (device == "auto" and not torch.cuda.is_available())
    if not on_cpu and not torch.cuda.is_available():
        raise UnfitBase(f"no CUDA device was found for --device {device}; use --device cpu or auto")
    bf16 = not on_cpu and torch.cuda.is_bf16_supported()
    return Accelerator(cpu=on_cpu, mixed_precision="bf16" if bf16 else "no")


def _pipeline_of(source: str) -> tuple[type[DiffusionPipeline], dict[str, Any]]:
    """Return how to read a base that is named by folder or by hub id; only its index is fetched for that."""
    if Path(source).is_dir() and not (Path(source) / "model_index.json").is_file():
        raise UnfitBase(f"{source} holds no model_index.json: it is not a diffusers pipeline folder")
    try:
        name = DiffusionPipeline.load_config(source).get("_class_name")
    except (OSError, ValueError) as problem:
        raise UnfitBase(f"{source} is neither a folder nor a model that could be fetched from the hub") from problem
    if name not in PIPELINES:
        raise UnfitBase(
            f"{source} is a {name}; the text-to-image models of Stable Diffusion 1.x, 2.x and XL are known, whose "
            f"model_index.json says {' or '.join(PIPELINES)}"
        )
    return PIPELINES[name]


def _folder(source: str) -> Path:
    """Return the folder of a base that is named by path or by hub id, fetching it once in the latter case."""
    if Path(source).is_dir():
        return Path(source)
    try:
        return Path(DiffusionPipeline.download(source, use_safetensors=True, safety_checker=None))
    except (OSError, ValueError) as problem:
        raise UnfitBase(f"{source} could not be fetched from the hub as safetensors") from problem


def _check(pipeline: DiffusionPipeline, source: str) -> None:
    """Raise `UnfitBase` where a base of a known family is not as we know them."""
    unet, scheduler = pipeline.unet.config, pipeline.scheduler.config
    if unet["in_channels"] != pipeline.vae.config["latent_channels"]:
        raise UnfitBase(f"{source} is an inpainting or editing model; a text-to-image model is needed")
    prediction = scheduler["prediction_type"]
    if prediction not in {"epsilon", "v_prediction"}:
        raise UnfitBase(f"{source} predicts {prediction}; only epsilon and v_prediction are known")
    if type(pipeline.scheduler).__name__.startswith("EDM"):
        raise UnfitBase(f"{source} was trained on noise levels of EDM, which are not known")
    wanted = "text_time" if isinstance(pipeline, StableDiffusionXLPipeline) else None
    if unet["addition_embed_type"] != wanted:
        raise UnfitBase(f"{source} has a U-Net that wants to be told {unet['addition_embed_type']}, not {wanted}")
    if isinstance(pipeline, StableDiffusionXLPipeline):
        _check_encoders(pipeline, source)


def _check_encoders(pipeline: StableDiffusionXLPipeline, source: str) -> None:
    if pipeline.text_encoder is None or pipeline.text_encoder_2 is None:
        raise UnfitBase(f"{source} lacks one of the two text encoders of Stable Diffusion XL")
    whole, of_tokens = pipeline.text_encoder_2.config.projection_dim, pipeline.unet.config["cross_attention_dim"]
    if whole > of_tokens:
        raise UnfitBase(f"{source} has prompt vectors of {whole} numbers, wider than its text embeddings: {of_tokens}")


def digest_of(folder: Path) -> str:
    """Return the SHA-256 in hex over the names and contents of the base's configuration and weight files."""
    total = hashlib.sha256()
    files = (file for part in PARTS for file in (folder / part).glob("*") if file.suffix in {".json", ".safetensors"})
    for file in sorted(files):
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        total.update(f"{file.relative_to(folder).as_posix()} {content}\n".encode())
    return total.hexdigest()
