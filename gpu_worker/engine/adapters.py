"""Adapter files: one person's trained LoRA as safetensors, in the layout that diffusers and PEFT read.

Keys are `unet.<layer>.lora_A.weight` (down) with `lora_B` (up), likewise `text_encoder` and `text_encoder_2`; alpha
equals the rank. The header's `dreambot` entry is JSON and says which base it was trained on and which words call it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gpu_worker.engine.fidelity import Reference
from gpu_worker.engine.files import write_tensors

HEADER, REFERENCE = "dreambot", "dreambot.reference"
REFERENCES = TypeAdapter(Reference)
DOWN, UP = ".lora_A.weight", ".lora_B.weight"


class AdapterRefused(Exception):
    """The file is damaged, or was trained on another base."""


class AdapterHeader(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int = 1
    base_digest: str
    identifier: str
    class_noun: str
    rank: int
    steps: int


@dataclass(frozen=True)
class AdapterFile:
    header: AdapterHeader
    weights: dict[str, tuple[Tensor, Tensor]]
    """By layer name: `down` [r, in, ...] and `up` [out, r], the shapes that `slots.Bank` keeps."""
    reference: Reference | None = None
    """By which its pictures are scored; None for styles, and where no embedder can tell the subject."""


def save_adapter(path: Path, adapter: AdapterFile) -> None:
    """Write the adapter in fp16, which is finer than the bf16 that most GPUs compute it in."""
    tensors: dict[str, Tensor] = {}
    for name, (down, up) in adapter.weights.items():
        tensors[name + DOWN] = down.to("cpu", torch.float16).contiguous()
        tensors[name + UP] = up.to("cpu", torch.float16).reshape(*up.shape, *[1] * (down.dim() - 2)).contiguous()
    about = {HEADER: adapter.header.model_dump_json()}
    if adapter.reference is not None:
        about[REFERENCE] = REFERENCES.dump_json(adapter.reference).decode()
    write_tensors(path, tensors, about)


def load_adapter(path: Path, *, digest: str | None, base_digest: str) -> AdapterFile:
    """Read an adapter for the base of `base_digest`. Raises `AdapterRefused` if the file is not what it should be."""
    try:
        if digest is not None and file_digest(path) != digest:
            raise AdapterRefused(f"{path.name} is not the file that was published: its digest differs")
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            header = AdapterHeader.model_validate_json(about.get(HEADER, "{}"))
            reference = REFERENCES.validate_json(about[REFERENCE]) if REFERENCE in about else None
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, ValidationError) as problem:
        raise AdapterRefused(f"{path.name} cannot be read as an adapter") from problem
    if header.base_digest != base_digest:
        raise AdapterRefused(f"{path.name} was trained on another base than the one that is loaded")
    names = [key.removesuffix(DOWN) for key in tensors if key.endswith(DOWN)]
    weights = {name: (tensors[name + DOWN], tensors[name + UP].flatten(1)) for name in names}
    return AdapterFile(header, weights, reference)


def file_digest(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
