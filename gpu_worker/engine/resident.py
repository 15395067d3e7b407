"""What stays on the device: the base, the slots in its layers, and the people who are in them.

An adapter comes from the disk into the machine's memory, where its digest is checked, and from there into a slot of the
serving bank; on both the one unused for longest makes room. A slot whose pictures are being drawn is held.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from gpu_worker.engine.adapters import AdapterFile, AdapterRefused, load_adapter
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.compiled import CompiledUnet
from gpu_worker.engine.embedder import Embedders
from gpu_worker.engine.host_memory import HostMemory
from gpu_worker.engine.samplers import process_of
from gpu_worker.engine.slots import UNET_LAYERS, Bank, Slots
from gpu_worker.engine.small_embedder import find_embedders
from gpu_worker.engine.texts import Saying, TextCache

if TYPE_CHECKING:
    from gpu_worker.engine.fast_copy import FastCopy

SERVING_SLOTS, AT_LEAST = 64, 2
"""How many people stay loaded: as many as there is room for, and two, who may stand side by side in a picture."""
SERVING_RANK = 16
SERVING_BYTES = 5 << 29
"""What slots may take in all: of Stable Diffusion 1.5 in bf16 all 64 take less, of XL there are 20 then."""


class NoFreeSlot(Exception):
    """Every slot is held by pictures in work."""


class Resident:
    """A base with slot layers installed, and a serving bank in which the people used last stay loaded."""

    def __init__(
        self,
        base: BaseModel,
        slots: int = SERVING_SLOTS,
        together: int = 1,
        embedders: Embedders | None = None,
        fast: "FastCopy | None" = None,
    ) -> None:
        self.base, self.fast = base, fast
        self.previewing = base
        """What decodes previews: the base, unless there is a tiny autoencoder for that."""
        self.embedders = embedders or find_embedders(base.folder)
        """What chooses and judges: by default what lies beside the base, if anything does."""
        self.process = process_of(base.scheduler_config)
        self.slots = Slots()
        self.texts = TextCache()
        self.slots.install("unet", base.unet, UNET_LAYERS)
        if fast is not None:
            self.slots.install("unet", fast.base.unet, UNET_LAYERS)
        for name, (encoder, layers) in base.text_encoders.items():
            self.slots.install(name, encoder, layers)
        self.host = HostMemory(base.unet.dtype, pinned=base.device.type == "cuda")
        self.people: OrderedDict[str, int] = OrderedDict()
        """Adapter digest -> slot, least recently used first."""
        self._held: Counter[int] = Counter()
        each = self.slots.bytes_of_one(SERVING_RANK, base.unet.dtype)
        self._count = max(
            count for count in range(slots + 1) if count <= AT_LEAST or (count + 1) * each <= SERVING_BYTES
        )
        self.together = together
        """How many people train at once; trainings of one rank share a bank, and so can take their steps together."""
        self._training: list[Bank] = []
        self.serving = self._empty_bank(SERVING_RANK)
        self.compiled: CompiledUnet | None = None
        """The U-Net for batches of pictures, where compiling it pays."""

    def copy_for(self, *, fast: bool) -> "Resident | FastCopy":
        """Return the copy of the base to draw on. Raises ValueError where there is no fast one."""
        if not fast:
            return self
        if self.fast is None:
            raise ValueError("the base has no fast copy")
        return self.fast

    def slot_of(self, path: Path, digest: str) -> int:
        """Return the slot that holds the adapter at `path`, loading it in place of the one unused for longest.

        Raises `AdapterRefused` and `NoFreeSlot`.
        """
        if digest not in self.people:
            adapter = self._in_memory(path, digest)
            if adapter.header.rank > self.serving.rank:
                self._widen(adapter.header.rank)
            slot = self._free_slot()
            try:
                self.serving.load(slot, adapter.weights)
            except ValueError as problem:
                raise AdapterRefused(f"{path.name} does not fit the base") from problem
            self.people[digest] = slot
        self.people.move_to_end(digest)
        return self.people[digest]

    def hold(self, path: Path, digest: str) -> int:
        """Return the adapter's slot as `slot_of` does, and keep the adapter there until the slot is let go."""
        slot = self.slot_of(path, digest)
        self._held[slot] += 1
        return slot

    def likeness(self, path: Path, digest: str, pictures: Sequence[Image.Image]) -> list[float | None]:
        """Score each picture by the photos that an adapter was trained on, as in `fidelity`; None where nothing tells.

        Raises `AdapterRefused`.
        """
        reference = self._in_memory(path, digest).reference
        if reference is None or self.embedders is None or self.embedders.choosing.digest != reference.embedder:
            return [None] * len(pictures)
        return [reference.score(cosine) for cosine in reference.cosines(self.embedders.choosing, pictures)]

    def let_go(self, slot: int) -> None:
        self._held[slot] -= 1

    @property
    def held(self) -> int:
        """How many slots are held."""
        return sum(count > 0 for count in self._held.values())

    def has_room_for(self, *digests: str) -> bool:
        """Tell whether `hold` would find a slot for each of these, one after the other."""
        theirs = {self.people[digest] for digest in digests if digest in self.people}
        free = [slot for slot in range(1, self._count + 1) if not self._held[slot] and slot not in theirs]
        return len(set(digests)) - len(theirs) <= len(free)

    def prefetch(self, path: Path, digest: str) -> None:
        """Bring an adapter near that may soon be asked for: into memory, and into a slot if one is empty.

        Raises `AdapterRefused`.
        """
        if len(self.people) < self._count:
            self.slot_of(path, digest)
        else:
            self._in_memory(path, digest)

    def embed(self, sayings: Sequence[Saying]) -> dict[Saying, Tensor]:
        """Return the text embeddings [L, d] of what is said with the serving bank's slots."""
        digests = {slot: digest for digest, slot in self.people.items()}
        return self.texts.embed(self.base, self.slots, self.serving, sayings, digests)

    def training_slot(self, rank: int) -> tuple[Bank, int]:
        """Return a free slot for one training, in a bank that it shares with other trainings of its rank.

        It is in fp32, for bf16 would lose small updates. A bank goes when the last training in it is over.
        """
        self._training = [bank for bank in self._training if bank.learning]
        for bank in self._training:
            if bank.rank == rank and (slot := bank.free_slot()) is not None:
                return bank, slot
        size = self.together + 1
        bank = Bank(self.slots, size=size, rank=rank, device=self.base.device, dtype=torch.float32)
        self._training.append(bank)
        return bank, 1

    def _in_memory(self, path: Path, digest: str) -> AdapterFile:
        kept = self.host.get(digest)
        return kept or self.host.keep(digest, load_adapter(path, digest=digest, base_digest=self.base.digest))

    def _empty_bank(self, rank: int) -> Bank:
        dtype = self.base.unet.dtype
        return Bank(self.slots, size=self._count + 1, rank=rank, device=self.base.device, dtype=dtype)

    def _free_slot(self) -> int:
        """Return an empty slot, or empty the one unused for longest of those that nobody holds."""
        if len(self.people) == self._count:
            leaving = next((digest for digest, slot in self.people.items() if not self._held[slot]), None)
            if leaving is None:
                raise NoFreeSlot
            return self.people.pop(leaving)
        return min(set(range(1, self._count + 1)) - set(self.people.values()))

    @torch.no_grad()
    def _widen(self, rank: int) -> None:
        """Move everybody into a bank of a higher rank; pictures in work keep the old one until they are done."""
        wider = self._empty_bank(rank)
        for name, down in self.serving.down.items():
            wider.down[name][:, : down.shape[1]] = down
            wider.up[name][..., : down.shape[1]] = self.serving.up[name]
        self.serving = wider
