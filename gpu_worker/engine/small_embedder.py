"""The small embedders that ship with the demo base, of two architectures and trained on different individuals."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from PIL import Image
from pydantic import TypeAdapter
from safetensors.torch import load_file
from torch import Tensor, nn

from gpu_worker.engine.adapters import file_digest
from gpu_worker.engine.embedder import Embedders, Knowledge, Outputs, pixels_of
from gpu_worker.prompts import SCENES, SETTINGS

SIZE = 64
BATCH = 64
PHRASES = {phrase.split()[-1]: phrase for phrase in (*SCENES, *SETTINGS)}
"""How a prompt says a place that an embedder knows by a word."""


@dataclass(frozen=True)
class EmbedderConfig(Knowledge):
    """The shape of a small embedder and what it knows: `config.json` in its folder."""

    architecture: Literal["residual", "separable"]
    widths: tuple[int, ...]
    dimensions: int


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2016), with group norm; halves the picture."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(width_in, width, 1, stride=2)
        self.first = nn.Conv2d(width_in, width, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(8, width)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.last_norm = nn.GroupNorm(8, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map [b, width_in, h, w] to [b, width, h/2, w/2]."""
        inner = self.second(F.silu(self.norm(self.first(x))))
        return F.silu(self.shortcut(x) + self.last_norm(inner))


class Separable(nn.Module):
    """A wide depthwise convolution and an inverted bottleneck (Liu et al. 2022, ConvNeXt); halves the picture."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(width_in, width, 2, stride=2)
        self.depthwise = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.norm = nn.GroupNorm(1, width)
        self.widen = nn.Conv2d(width, 3 * width, 1)
        self.narrow = nn.Conv2d(3 * width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [b, width_in, h, w] to [b, width, h/2, w/2]."""
        x = self.down(x)
        return x + self.narrow(F.gelu(self.widen(self.norm(self.depthwise(x)))))


class SmallEmbedder(nn.Module):
    """A convolutional embedder with its calibration: embeddings of other individuals, by class."""

    def __init__(self, config: EmbedderConfig, others: dict[str, Tensor] | None = None, digest: str = "") -> None:
        super().__init__()
        self.knows = config
        self.digest = digest
        self.side = SIZE
        self.others = others or {}
        self.settings = tuple(PHRASES.get(place, "") for place in config.places)
        stage = Residual if config.architecture == "residual" else Separable
        widths = config.widths
        self.stem = nn.Conv2d(3, widths[0], 5, stride=2, padding=2)
        self.stages = nn.Sequential(*(stage(a, b) for a, b in itertools.pairwise(widths)))
        features = widths[-1]
        self.identity = nn.Linear(2 * features, config.dimensions)
        self.class_head = nn.Linear(features, len(config.classes))
        self.place_head = nn.Linear(features, len(config.places))

    def forward(self, images: Tensor) -> Outputs:
        """Look at pictures [b, 3, 64, 64] in -1..1."""
        features = self.stages(self.stem(images))
        mean, peak = features.mean((2, 3)), features.amax((2, 3))
        identity = F.normalize(self.identity(torch.cat([mean, peak], 1)), dim=-1)
        return Outputs(identity, self.class_head(mean), self.place_head(mean))

    @torch.inference_mode()
    def style(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Describe how pictures are drawn rather than what they show, [b, d].

        These are the means and standard deviations of the early features, which hold what style transfer moves from
        picture to picture (Huang & Belongie 2017, arXiv 1703.06868).
        """
        early = self.stem(to_tensor(pictures).to(self.stem.weight.device))
        maps = [early, self.stages[0](early)]
        return torch.cat([moment for x in maps for moment in (x.mean((2, 3)), x.std((2, 3)))], 1).cpu()

    @torch.inference_mode()
    def look(self, pictures: Sequence[Image.Image]) -> Outputs:
        """Look at pictures of any size, in batches, on the embedder's device; the answer is on the CPU."""
        shown = to_tensor(pictures).to(self.stem.weight.device)
        parts = [self(batch) for batch in shown.split(BATCH)]
        return Outputs(*(torch.cat(list(values)).cpu() for values in zip(*parts, strict=True)))

    def where(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Return how probable each of the settings is for each picture, [b, settings]."""
        return self.look(pictures).place_logits.softmax(1)


def to_tensor(pictures: Sequence[Image.Image]) -> Tensor:
    """Return the pictures' middle squares as [b, 3, 64, 64] in -1..1."""
    return pixels_of(pictures, SIZE, Image.Resampling.BOX) * 2 - 1


@cache
def find_embedders(base_folder: Path) -> Embedders | None:
    """Load the embedders that lie beside the base's folder, or return None when there are none."""
    folder = base_folder.parent / "embedders"
    if not all((folder / name / "config.json").is_file() for name in ("choosing", "judging")):
        return None
    return Embedders(load_embedder(folder / "choosing"), load_embedder(folder / "judging"))


def load_embedder(folder: Path, device: str = "cpu") -> SmallEmbedder:
    """Load config.json, model.safetensors and calibration.safetensors from a folder, in float32 and ready to look.

    Raises:
        FileNotFoundError: one of the files is missing.
    """
    config = TypeAdapter(EmbedderConfig).validate_json((folder / "config.json").read_bytes())
    others = {name: tensor.float() for name, tensor in load_file(folder / "calibration.safetensors").items()}
    weights = folder / "model.safetensors"
    embedder = SmallEmbedder(config, others, file_digest(weights))
    embedder.load_state_dict({name: tensor.float() for name, tensor in load_file(weights).items()})
    return embedder.to(device).eval()
