"""Text embeddings, each computed in the voice of a person's slot, and those of published models kept for a while."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.slots import Bank, Slots

KEPT_BYTES = 64 << 20
"""For Stable Diffusion 1.5 in bf16 some 550 prompts, for XL some 200."""


@dataclass(frozen=True)
class Saying:
    """A prompt, and the slot whose words it is read with."""

    prompt: str
    slot: int = 0
    strength: float = 1.0


def embed(base: BaseModel, slots: Slots, bank: Bank, sayings: Sequence[Saying]) -> dict[Saying, Tensor]:
    """Return the text embeddings [L, d] of sayings; what is said twice is computed once."""
    different = list(dict.fromkeys(sayings))
    strength = [saying.strength for saying in different]
    use = bank, [saying.slot for saying in different], None if all(s == 1 for s in strength) else strength
    with torch.no_grad(), slots.use(*use):
        return dict(zip(different, base.encode_prompts([saying.prompt for saying in different]), strict=True))


class TextCache:
    """The embeddings used last, by prompt and adapter: right for as long as a slot's text side does not change.

    That is so in the serving bank, whose adapters are published; a slot in training is never asked about here.
    """

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self.most_bytes, self.bytes = most_bytes, 0
        self._kept: OrderedDict[tuple[str, str, float], Tensor] = OrderedDict()

    def embed(
        self, base: BaseModel, slots: Slots, bank: Bank, sayings: Sequence[Saying], digests: Mapping[int, str]
    ) -> dict[Saying, Tensor]:
        """Return the embeddings [L, d] of sayings; `digests` tells whose adapter is in which slot.

        What is said with a slot that it does not know is computed anew each time.
        """
        of_slot = {**digests, 0: ""}
        keys = {s: (s.prompt, of_slot[s.slot], s.strength) for s in sayings if s.slot in of_slot}
        missing = [saying for saying in sayings if keys.get(saying) not in self._kept]
        fresh = embed(base, slots, bank, missing) if missing else {}
        found = {saying: fresh[saying] if saying in fresh else self._kept[keys[saying]] for saying in sayings}
        for saying, key in keys.items():
            self._keep(key, found[saying])
        return found

    def _keep(self, key: tuple[str, str, float], embedding: Tensor) -> None:
        if key not in self._kept:
            self._kept[key] = embedding.clone()  # of its own, for it is a row of a batch
            self.bytes += embedding.nbytes
        self._kept.move_to_end(key)
        while self.bytes > self.most_bytes:
            self.bytes -= self._kept.popitem(last=False)[1].nbytes
