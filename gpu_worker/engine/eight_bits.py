"""The base's weights in eight bits, for cards that are too small for more: half of bf16's memory, a little more time.

Each weight is kept as a float8 (e4m3: Micikevicius et al. 2022, arXiv 2209.05433) under a scale of its output channel,
and widened for each use; what is computed, and what people train, is as precise as ever. The layers at both ends of a
network, its biases and its norms stay as they are: they are small, and what they lose would be seen.
"""

from collections.abc import Iterable
from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

ENDS = ("conv_in", "conv_out")
LARGEST = torch.finfo(torch.float8_e4m3fn).max
WORK_BYTES = 5 << 30
"""What is to stay free beside the base: its slots (`resident.SERVING_BYTES`), a training, the activations of a step."""


class Weights(StrEnum):
    """How the base's weights are kept."""

    AUTO = "auto"
    FULL = "full"
    EIGHT = "eight"


class Widened(nn.Module):
    """Makes of a stored weight the one to compute with."""

    scale: Tensor

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)

    def forward(self, stored: Tensor) -> Tensor:
        return stored.to(self.scale.dtype) * self.scale


def store_in_eight_bits(network: nn.Module) -> None:
    """Change the weights of a network's linear layers and convolutions in place; they learn nothing from then on."""
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d) and name not in ENDS:
            weight = layer.weight.detach()
            largest = weight.abs().amax(dim=tuple(range(1, weight.dim())), keepdim=True)
            scale = (largest / LARGEST).clamp(min=torch.finfo(weight.dtype).tiny)
            stored = (weight.float() / scale.float()).clamp(-LARGEST, LARGEST).to(torch.float8_e4m3fn)
            layer.weight = nn.Parameter(stored, requires_grad=False)
            parametrize.register_parametrization(layer, "weight", Widened(scale), unsafe=True)


def are_in_eight_bits(network: nn.Module) -> bool:
    return any(isinstance(part, Widened) for part in network.modules())


def wants_eight_bits(weights: Weights, networks: Iterable[nn.Module], device: torch.device) -> bool:
    """Tell whether to keep weights in eight bits: as was said, or where a GPU has too little room for all of them."""
    if weights is not Weights.AUTO:
        return weights is Weights.EIGHT
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return free < WORK_BYTES + sum(map(weight_bytes, networks))


def weight_bytes(network: nn.Module) -> int:
    """Return how much memory a network's weights and buffers take."""
    return sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))
