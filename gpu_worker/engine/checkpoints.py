"""Checkpoints of a training in progress: one safetensors file with all tensors, and where it stands in the header.

The header names the training by a digest of everything that decides its result; a checkpoint of another training, or of
another base, is refused rather than continued.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gpu_worker.engine.candidates import Tried
from gpu_worker.engine.choosing import Candidate
from gpu_worker.engine.files import write_tensors

HEADER = "dreambot"


class CheckpointRefused(Exception):
    """The file is damaged, or belongs to another training."""


class Position(BaseModel):
    """Where a training stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[3] = 3
    training: str
    """`training_digest` of the training."""
    step: int
    losses: tuple[float, ...]
    rate: float = 1.0
    """What the recipe's learning rates are multiplied with."""
    tried: tuple[Tried, ...] = ()
    best_step: int | None = None
    best_score: float | None = None


def training_digest(*parts: str) -> str:
    """Digest what decides a training's result: base, photos, prompts, recipe, seed."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def save_checkpoint(path: Path, position: Position, tensors: dict[str, Tensor], best: Candidate | None) -> None:
    """Write a checkpoint whole: the training's own tensors, and the best candidate so far."""
    if best is not None:
        position = position.model_copy(update={"best_step": best.step, "best_score": best.score})
        for name, (down, up) in best.weights.items():
            tensors = tensors | {f"best.{name}.down": down, f"best.{name}.up": up}
    on_cpu = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    write_tensors(path, on_cpu, {HEADER: position.model_dump_json()})


def best_of(position: Position, tensors: Mapping[str, Tensor]) -> Candidate | None:
    """Return the best candidate that a checkpoint holds."""
    if position.best_step is None or position.best_score is None:
        return None
    names = [key[len("best.") : -len(".down")] for key in tensors if key.startswith("best.") and key.endswith(".down")]
    weights = {name: (tensors[f"best.{name}.down"], tensors[f"best.{name}.up"]) for name in names}
    return Candidate(position.best_step, position.best_score, weights)


def load_checkpoint(path: Path, training: str) -> tuple[Position, dict[str, Tensor]]:
    """Read a checkpoint of the training with this digest. Raises `CheckpointRefused`."""
    try:
        with safe_open(path, framework="pt") as file:
            position = Position.model_validate_json((file.metadata() or {}).get(HEADER, "{}"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError, ValidationError) as problem:
        raise CheckpointRefused(f"{path.name} cannot be read as a checkpoint") from problem
    if position.training != training:
        raise CheckpointRefused(f"{path.name} belongs to another training")
    return position, tensors


def prune(folder: Path, keep: Sequence[Path]) -> None:
    """Delete the checkpoints in `folder` other than those to keep."""
    for path in folder.glob("checkpoint-*.safetensors"):
        if path not in keep:
            path.unlink()
