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
from gpu_worker.engine.choosing import Score
from gpu_worker.engine.files import write_tensors
from gpu_worker.engine.finalists import Candidate, Finalists
from storage.contract import Variant

HEADER = "dreambot"


class CheckpointRefused(Exception):
    """The file is damaged, or belongs to another training."""


class Place(BaseModel):
    """Which candidate stands in a place, and how it was scored; several places may be one candidate's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int
    score: Score


class Position(BaseModel):
    """Where a training stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[4] = 4
    training: str
    """`training_digest` of the training."""
    step: int
    losses: tuple[float, ...]
    rate: float = 1.0
    """What the recipe's learning rates are multiplied with."""
    tried: tuple[Tried, ...] = ()
    finalists: Mapping[Variant, Place] = {}


def training_digest(*parts: str) -> str:
    """Digest what decides a training's result: base, photos, prompts, recipe, seed."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def save_checkpoint(path: Path, position: Position, tensors: dict[str, Tensor], finalists: Finalists) -> None:
    """Write a checkpoint whole: the training's own tensors, and its finalists so far, each candidate once."""
    places = {variant: Place(step=one.step, score=one.score) for variant, one in finalists.items()}
    position = position.model_copy(update={"finalists": places})
    for candidate in finalists.values():
        for name, (down, up) in candidate.weights.items():
            tensors = tensors | {f"{_of(candidate.step)}{name}.down": down, f"{_of(candidate.step)}{name}.up": up}
    on_cpu = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    write_tensors(path, on_cpu, {HEADER: position.model_dump_json()})


def finalists_of(position: Position, tensors: Mapping[str, Tensor]) -> dict[Variant, Candidate]:
    """Return the finalists that a checkpoint holds."""
    return {
        variant: Candidate(place.step, place.score, _weights(_of(place.step), tensors))
        for variant, place in position.finalists.items()
    }


def _of(step: int) -> str:
    return f"candidate.{step}."


def _weights(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    downs = [key for key in tensors if key.startswith(prefix) and key.endswith(".down")]
    names = [key[len(prefix) : -len(".down")] for key in downs]
    return {name: (tensors[f"{prefix}{name}.down"], tensors[f"{prefix}{name}.up"]) for name in names}


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
