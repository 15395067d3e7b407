"""Slot LoRA: the low-rank adapters of many people, resident in one frozen model.

Every adapted layer computes `y = base(x) + strength[b] * up[slot[b]] @ (down[slot[b]] @ x)` for sample b of a batch, so
that each sample may belong to another person (LoRA: Hu et al. 2021, arXiv 2106.09685; many adapters in one batch:
Punica, arXiv 2310.18547). The rows of all people are stacked in a `Bank`; slot 0 is all zeros and means "the plain
base". Putting a person in is an in-place copy. Alpha equals the rank throughout, so the scale is folded into `up`.
"""

import math
import re
import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

UNET_LAYERS = re.compile(
    r"(attentions\.\d+\.(proj_in|proj_out|transformer_blocks\.\d+\.(attn[12]\.(to_[qkv]|to_out\.0)|ff\.net\.(0\.proj|2)))"
    r"|resnets\.\d+\.conv[12])$"
)
TEXT_LAYERS = re.compile(r"(self_attn\.(q_proj|k_proj|v_proj|out_proj)|mlp\.fc[12]|embeddings\.token_embedding)$")
WORD_LAYER = "text_encoder.embeddings.token_embedding"
"""Where a person's own word has its vector: see `SlotEmbedding`."""
WORD_LAYERS = (WORD_LAYER, "text_encoder_2.text_model.embeddings.token_embedding")
"""The same of both text encoders, where there are two."""

Weights = Mapping[str, tuple[Tensor, Tensor]]
"""One person's adapter by layer name: `down` [r, in, ...] and `up` [out, r]."""


@dataclass(frozen=True)
class Assignment:
    """Which slot each sample of the batch uses, and how strongly.

    A batch falls into U blocks of equal size, each of which has one slot; where all samples differ, U is B.
    """

    bank: "Bank"
    order: Sequence[int]
    """The slot of each block."""
    slots: Tensor
    """The same on the device: [U] int64."""
    strength: Tensor | None
    """[U]; None means 1 for all."""
    only: int | None
    """The one slot that the whole batch shares, when it does: a plain matrix product is then enough."""

    def scaled(self, hidden: Tensor) -> Tensor:
        """Multiply the shrunk activations [U, ...] by each block's strength."""
        return hidden if self.strength is None else hidden * self.strength.view(-1, *[1] * (hidden.dim() - 1))


class Slots:
    """The slot layers of a model's networks and the assignment that they all read."""

    def __init__(self) -> None:
        self.layers: dict[str, SlotLayer] = {}
        self.current: Assignment | None = None

    def install(self, prefix: str, network: nn.Module, layers: re.Pattern[str]) -> None:
        """Replace, in place, those linear, convolution and embedding layers whose names end as `layers` says.

        Layers are named `prefix.path.in.the.network`, as in diffusers' adapter files. A copy of a network is installed
        under the same prefix: its layers then use the first one's rows.
        """
        for name, module in [(name, module) for name, module in network.named_modules() if layers.search(name)]:
            full_name = f"{prefix}.{name}"
            match module:
                case nn.Linear():
                    layer: SlotLayer = SlotLinear(self, full_name, module)
                case nn.Conv2d():
                    layer = SlotConv2d(self, full_name, module)
                case nn.Embedding():
                    layer = SlotEmbedding(self, full_name, module)
                case _:
                    continue
            self.layers.setdefault(full_name, layer)
            network.set_submodule(name, layer)

    def bytes_of_one(self, rank: int, dtype: torch.dtype) -> int:
        """Return how much memory each slot of a bank of this rank takes."""
        numbers = (
            min(rank, layer.most_rank) * (math.prod(layer.in_shape) + layer.out_features)
            for layer in self.layers.values()
        )
        return sum(numbers) * dtype.itemsize

    @contextmanager
    def use(
        self, bank: "Bank", slots: Sequence[int], strength: Sequence[float] | None = None, *, apart: bool = False
    ) -> Iterator[None]:
        """Use these slots inside the block: a batch of B samples is cut into `len(slots)` equal parts, one for each.

        So `[slot]` serves batches of any size, and B slots give every sample its own. `apart` treats them as several
        even where they are one, and strengths as given even where they are 1: then a compiled graph fits any batch.
        """
        only = slots[0] if len(set(slots)) == 1 and not apart else None
        if apart and strength is None:
            strength = [1.0] * len(slots)
        before = self.current
        self.current = Assignment(
            bank,
            tuple(slots),
            torch.tensor(slots, device=bank.device),
            None if strength is None else torch.tensor(strength, device=bank.device, dtype=bank.dtype),
            only,
        )
        try:
            yield
        finally:
            self.current = before


class Bank:
    """Stacked adapters: for every layer `down` [N, r, in, ...] and `up` [N, out, r]."""

    def __init__(self, slots: Slots, *, size: int, rank: int, device: torch.device, dtype: torch.dtype) -> None:
        self.layers = slots.layers
        self.size, self.rank, self.device, self.dtype = size, rank, device, dtype
        self.down: dict[str, Tensor] = {}
        self.up: dict[str, Tensor] = {}
        self.learning: dict[int, dict[str, tuple[Tensor, Tensor]]] = {}
        """The rows of slots that learn, as tensors of their own over the same memory, so that each has its gradient."""
        for name, layer in slots.layers.items():
            most = min(rank, layer.most_rank)
            self.down[name] = torch.zeros(size, most, *layer.in_shape, device=device, dtype=dtype)
            self.up[name] = torch.zeros(size, layer.out_features, most, device=device, dtype=dtype)

    def free_slot(self) -> int | None:
        """Return a slot in which nothing learns, if there is one."""
        return next((slot for slot in range(1, self.size) if slot not in self.learning), None)

    @torch.no_grad()
    def load(self, slot: int, weights: Weights) -> None:
        """Put a person into `slot`, in place; layers that the adapter lacks and ranks above its own become zero.

        Raises ValueError for slot 0, an unknown layer, a shape that does not fit, or a rank above the bank's.
        """
        self._check(slot, weights)
        for name in self.layers:
            self.down[name][slot].zero_()
            self.up[name][slot].zero_()
            if name in weights:
                down, up = weights[name]
                rank = down.shape[0]
                self.down[name][slot, :rank].copy_(down)
                self.up[name][slot, :, :rank].copy_(up)

    @torch.no_grad()
    def start(self, slot: int, rank: int, generator: torch.Generator, word: int) -> None:
        """Begin a new adapter in `slot`: `down` uniform as in PEFT, `up` zero, so that the model is unchanged.

        `word` is the token id of the person's own word.
        """
        self._check(slot, {})
        for name in self.layers:
            self.down[name][slot].zero_()
            self.up[name][slot].zero_()
            if name in WORD_LAYERS:
                self.down[name][slot, 0, word] = 1
                continue
            row = self.down[name][slot, :rank]
            bound = 1 / math.sqrt(row[0].numel())  # kaiming uniform with a = sqrt(5)
            row.copy_(torch.empty(row.shape).uniform_(-bound, bound, generator=generator))

    def learn(self, slot: int, trained: Container[str]) -> dict[str, Tensor]:
        """Let a slot learn; return those of its tensors `<layer>.down` and `<layer>.up` that `trained` names."""
        rows = {f"{name}.down": self.down[name][slot].detach() for name in self.layers}
        rows |= {f"{name}.up": self.up[name][slot].detach() for name in self.layers}
        parameters = {name: row.requires_grad_() for name, row in rows.items() if name in trained}
        self.learning[slot] = {name: (rows[f"{name}.down"], rows[f"{name}.up"]) for name in self.layers}
        return parameters

    def rows(self, name: str, use: "Assignment") -> tuple[Tensor, Tensor]:
        """Return a layer's `down` and `up` for the batch's one slot, or stacked by block when there are several."""
        if use.only is not None:
            learning = self.learning.get(use.only)
            return learning[name] if learning else (self.down[name][use.only], self.up[name][use.only])
        if torch.is_grad_enabled() and self.learning.keys() >= set(use.order):
            downs, ups = zip(*(self.learning[slot][name] for slot in use.order), strict=True)
            return torch.stack(downs), torch.stack(ups)
        return self.down[name][use.slots], self.up[name][use.slots]

    @torch.no_grad()
    def read(self, slot: int, rank: int) -> dict[str, tuple[Tensor, Tensor]]:
        """Copy a person's adapter out, cut to `rank`; layers whose `up` is all zero (never trained) are left out."""
        rows = {n: (self.down[n][slot, :rank].clone(), self.up[n][slot, :, :rank].clone()) for n in self.layers}
        return {name: (down, up) for name, (down, up) in rows.items() if bool(up.any())}

    def _check(self, slot: int, weights: Weights) -> None:
        if not 0 < slot < self.size:
            raise ValueError(f"slot {slot} is not one of 1..{self.size - 1}; slot 0 stays empty")
        for name, (down, up) in weights.items():
            layer = self.layers.get(name)
            if layer is None:
                raise ValueError(f"the base has no layer {name}")
            rank = down.shape[0]
            if tuple(down.shape[1:]) != layer.in_shape or tuple(up.shape) != (layer.out_features, rank):
                raise ValueError(f"{name} has shapes {tuple(down.shape)} and {tuple(up.shape)}, not those of the base")
            if rank > (most := min(self.rank, layer.most_rank)):
                raise ValueError(f"{name} has rank {rank}, above the bank's {most}")


class SlotLayer(nn.Module):
    """A frozen layer and its share of the slots; subclasses know how to apply it."""

    most_rank = sys.maxsize

    def __init__(self, slots: Slots, name: str, base: nn.Module, in_shape: tuple[int, ...], out_features: int) -> None:
        super().__init__()
        self.slots, self.name, self.base = slots, name, base
        self.in_shape, self.out_features = in_shape, out_features


class SlotLinear(SlotLayer):
    def __init__(self, slots: Slots, name: str, base: nn.Linear) -> None:
        super().__init__(slots, name, base, (base.in_features,), base.out_features)

    def forward(self, x: Tensor) -> Tensor:  # [B, ..., in] -> [B, ..., out]
        y = self.base(x)
        use = self.slots.current
        if use is None:
            return y
        down, up = use.bank.rows(self.name, use)
        if use.only is not None:
            hidden = use.scaled(F.linear(x, down))  # [B, ..., r]
            return torch.addmm(y.flatten(0, -2), hidden.flatten(0, -2), up.t()).view_as(y)
        hidden = torch.bmm(x.reshape(len(down), -1, x.shape[-1]), down.transpose(1, 2))  # [U, T, r]
        return y + torch.bmm(use.scaled(hidden), up.transpose(1, 2)).reshape(y.shape)


class SlotEmbedding(SlotLayer):
    """A word's vector for each person (textual inversion: Gal et al. 2022, arXiv 2208.01618).

    It is an adapter of rank 1 whose `down` [1, vocabulary] says which token it is, and whose `up` [d, 1] is what is
    added to that token's vector.
    """

    most_rank = 1

    def __init__(self, slots: Slots, name: str, base: nn.Embedding) -> None:
        super().__init__(slots, name, base, (base.num_embeddings,), base.embedding_dim)

    def forward(self, ids: Tensor) -> Tensor:  # [B, L] -> [B, L, d]
        y = self.base(ids)
        use = self.slots.current
        if use is None:
            return y
        down, up = use.bank.rows(self.name, use)
        if use.only is not None:
            said = F.embedding(ids, down.t())  # [B, L, 1]: where the word stands
            return y + F.linear(use.scaled(said), up)
        said = down.gather(2, ids.reshape(len(down), 1, -1)).transpose(1, 2)
        return y + torch.bmm(use.scaled(said), up.transpose(1, 2)).reshape(y.shape)


class SlotConv2d(SlotLayer):
    def __init__(self, slots: Slots, name: str, base: nn.Conv2d) -> None:
        super().__init__(slots, name, base, (base.in_channels, *base.kernel_size), base.out_channels)
        self.stride, self.padding, self.dilation = base.stride, base.padding, base.dilation

    def forward(self, x: Tensor) -> Tensor:  # [B, in, H, W] -> [B, out, H', W']
        y = self.base(x)
        use = self.slots.current
        if use is None:
            return y
        down, up = use.bank.rows(self.name, use)
        if use.only is not None:
            hidden = F.conv2d(x, down, None, self.stride, self.padding, self.dilation)  # [B, r, H', W']
            return y + F.conv2d(use.scaled(hidden), up[..., None, None])
        hidden = use.scaled(self.shrink(x, down))  # [U, B/U, r, H'W']
        return y + torch.matmul(up.unsqueeze(1), hidden).reshape(y.shape)

    def shrink(self, x: Tensor, down: Tensor) -> Tensor:
        """Convolve each block with its own kernels by making every block a group of one convolution."""
        blocks, rank = down.shape[:2]
        x = x.unflatten(0, (blocks, -1)).transpose(0, 1).flatten(1, 2)  # [B/U, U in, H, W]
        grouped = F.conv2d(x, down.flatten(0, 1), None, self.stride, self.padding, self.dilation, groups=blocks)
        return grouped.unflatten(1, (blocks, rank)).flatten(3).transpose(0, 1)
