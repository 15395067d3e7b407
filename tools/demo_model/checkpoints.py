"""Checkpoints that a training goes on from, and the clock that ends it. Safetensors and JSON only."""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


class Clock:
    """Counts a training's minutes, those of earlier runs included."""

    def __init__(self, budget: float, spent: float) -> None:
        self._budget = budget
        self._start = time.monotonic() - 60 * spent

    def minutes(self) -> float:
        """Return the minutes trained so far."""
        return (time.monotonic() - self._start) / 60

    def done(self) -> float:
        """Return the share of the budget that is spent."""
        return self.minutes() / self._budget

    def over(self) -> bool:
        """Return whether the budget is spent."""
        return self.done() >= 1


class Checkpoint:
    """A folder with the modules' weights, the optimiser's moments and where the training stands."""

    def __init__(self, folder: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> None:
        self._folder = folder
        self._modules = modules
        self._optimizer = optimizer
        self.step = 0

    def save(self, step: int, minutes: float) -> None:
        """Write everything, the state last, each file by a rename, so that a broken-off save leaves the one before."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, module in self._modules.items():
            self._write(name, {key: value.contiguous() for key, value in module.state_dict().items()})
        moments: dict[str, Tensor] = {}
        for index, values in self._optimizer.state_dict()["state"].items():
            moments |= {f"{index}.{key}": value for key, value in values.items()}
        self._write("optimizer", moments)
        state = self._folder / "state.json.part"
        state.write_text(json.dumps({"step": step, "minutes": minutes}), encoding="utf-8")
        state.replace(self._folder / "state.json")

    def load(self) -> float:
        """Load the last checkpoint into the modules and return its minutes; 0 where there is none."""
        path = self._folder / "state.json"
        if not path.exists():
            return 0.0
        for name, module in self._modules.items():
            module.load_state_dict(load_file(self._folder / f"{name}.safetensors"))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in load_file(self._folder / "optimizer.safetensors").items():
            index, key = name.split(".")
            state.setdefault(int(index), {})[key] = value
        self._optimizer.load_state_dict({"state": state, "param_groups": self._optimizer.state_dict()["param_groups"]})
        saved = json.loads(path.read_text(encoding="utf-8"))
        self.step = saved["step"]
        return float(saved["minutes"])

    def _write(self, name: str, tensors: dict[str, Tensor]) -> None:
        part = self._folder / f"{name}.part"
        save_file(tensors, part)
        part.replace(self._folder / f"{name}.safetensors")
