"""Adapters in the machine's memory, one copy away from a slot: the tier between the slots and the disk."""

from collections import OrderedDict
from dataclasses import replace

import torch

from gpu_worker.engine.adapters import AdapterFile

HOST_BYTES = 512 << 20
"""For Stable Diffusion 1.5 at rank 16 some 20 to 40 people, for XL five, for the demo base several hundred."""


class HostMemory:
    """The adapters used last, by digest, pinned where there is a GPU so that their copies need no second one."""

    def __init__(self, dtype: torch.dtype, *, pinned: bool, most_bytes: int = HOST_BYTES) -> None:
        self.dtype, self.pinned, self.most_bytes = dtype, pinned, most_bytes
        self.bytes = 0
        self._kept: OrderedDict[str, AdapterFile] = OrderedDict()

    def __contains__(self, digest: str) -> bool:
        return digest in self._kept

    def get(self, digest: str) -> AdapterFile | None:
        if digest in self._kept:
            self._kept.move_to_end(digest)
        return self._kept.get(digest)

    def keep(self, digest: str, adapter: AdapterFile) -> AdapterFile:
        """Keep an adapter that was checked against its digest, and return it as it is kept."""
        weights = {name: (self._here(down), self._here(up)) for name, (down, up) in adapter.weights.items()}
        kept = self._kept[digest] = replace(adapter, weights=weights)
        self.bytes += _bytes(kept)
        while self.bytes > self.most_bytes:
            self.bytes -= _bytes(self._kept.popitem(last=False)[1])
        return kept

    def _here(self, tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.to("cpu", self.dtype).contiguous()
        return tensor.pin_memory() if self.pinned else tensor


def _bytes(adapter: AdapterFile) -> int:
    return sum(down.nbytes + up.nbytes for down, up in adapter.weights.values())
