"""What stays on the device: the base, the slots in its layers, and the people who are in them."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from gpu_worker.engine.adapters import AdapterRefused, load_adapter
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.samplers import process_of
from gpu_worker.engine.slots import TEXT_LAYERS, UNET_LAYERS, Bank, Slots
from gpu_worker.engine.texts import Saying, TextCache

SERVING_SLOTS = 16
SERVING_RANK = 16


class Resident:
    """A base with slot layers installed, and a serving bank in which the people used last stay loaded."""

    def __init__(self, base: BaseModel) -> None:
        self.base = base
        self.process = process_of(base.scheduler_config)
        self.slots = Slots()
        self.texts = TextCache()
        self.slots.install("unet", base.unet, UNET_LAYERS)
        self.slots.install("text_encoder", base.text_encoder, TEXT_LAYERS)
        self._people: OrderedDict[str, int] = OrderedDict()  # adapter digest -> slot, least recently used first
        self._rank = SERVING_RANK
        self.serving = self._empty_bank()

    def slot_of(self, path: Path, digest: str) -> int:
        """Return the slot that holds the adapter at `path`, loading it in place of the one unused for longest.

        Raises `AdapterRefused`.
        """
        if digest not in self._people:
            adapter = load_adapter(path, digest=digest, base_digest=self.base.digest)
            if adapter.header.rank > self._rank:
                self._make_room(adapter.header.rank)
            try:
                self.serving.load(slot := self._free_slot(), adapter.weights)
            except ValueError as problem:
                raise AdapterRefused(f"{path.name} does not fit the base") from problem
            self._people[digest] = slot
        self._people.move_to_end(digest)
        return self._people[digest]

    def embed(self, sayings: Sequence[Saying]) -> dict[Saying, Tensor]:
        """Return the text embeddings [L, d] of what is said with the serving bank's slots."""
        digests = {slot: digest for digest, slot in self._people.items()}
        return self.texts.embed(self.base, self.slots, self.serving, sayings, digests)

    def training_bank(self, rank: int) -> Bank:
        """Return a bank for one training: slot 1, in fp32, for bf16 would lose small updates."""
        return Bank(self.slots, size=2, rank=rank, device=self.base.device, dtype=torch.float32)

    def _empty_bank(self) -> Bank:
        dtype = self.base.unet.dtype
        return Bank(self.slots, size=SERVING_SLOTS + 1, rank=self._rank, device=self.base.device, dtype=dtype)

    def _free_slot(self) -> int:
        if len(self._people) == SERVING_SLOTS:
            self._people.popitem(last=False)
        return min(set(range(1, SERVING_SLOTS + 1)) - set(self._people.values()))

    def _make_room(self, rank: int) -> None:
        """Widen the bank for a higher rank; the people in it are read again when they are next asked for."""
        self._people.clear()
        self._rank = rank
        self.serving = self._empty_bank()
