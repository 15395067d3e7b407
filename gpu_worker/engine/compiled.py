"""The U-Net's passes for pictures, compiled where that is measured to pay.

One graph for each number of rows, at the base's own size. Whose slots the rows use is an input of the graph, so people
come and go without a new one; other sizes, trainings and previews of them go through the network as it is.
"""

import logging
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.slots import Bank

if TYPE_CHECKING:
    from gpu_worker.engine.resident import Resident

log = logging.getLogger(__name__)

GAIN = 1.1
"""How much faster it has to be: a start that takes minutes longer is to be worth it."""
ROUNDS = 5


class CompiledUnet:
    def __init__(
        self, model: "Resident", base: BaseModel | None = None, backend: str | Callable[..., object] = "inductor"
    ) -> None:
        """`base` is the copy whose U-Net it is, by default the plain one."""
        self._model, self._bank, self._base = model, model.serving, base or model.base
        self._network: Callable[..., tuple[Tensor]] = torch.compile(
            self._base.unet, backend=backend, fullgraph=True, dynamic=False
        )
        self._warm: set[torch.Size] = set()

    def is_warm_for(self, latents: Tensor, bank: Bank) -> bool:
        """Tell whether there is a graph for latents [B, c, h, w]; another bank would need one of its own."""
        return latents.shape in self._warm and bank is self._bank

    def predict(self, latents: Tensor, timesteps: Tensor, embeddings: Tensor) -> Tensor:
        """Do what the base's `predict` does; the slots in use must be named `apart`."""
        with self._base.autocast():
            return self._network(**self._base.unet_inputs(latents, timesteps, embeddings))[0].float()

    @torch.no_grad()
    def seconds(self, rows: int, predict: Callable[[Tensor, Tensor, Tensor], Tensor]) -> float:
        """Return how long a pass of so many rows takes, the first one left out."""
        latents, timesteps, embeddings = self._example(rows)
        took = []
        for _ in range(ROUNDS + 1):
            began = time.perf_counter()
            with self._model.slots.use(self._bank, [0] * rows, apart=True):
                predict(latents, timesteps, embeddings)
            if latents.device.type == "cuda":
                torch.cuda.synchronize()
            took.append(time.perf_counter() - began)
        return statistics.median(took[1:])

    def warm_up(self, rows: int) -> float:
        """Make the graph for so many rows and return how long a pass takes with it."""
        seconds = self.seconds(rows, self.predict)
        self._warm.add(self._example(rows)[0].shape)
        return seconds

    def _example(self, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        base = self._base
        side = base.resolution // base.pixels_per_latent
        latents = torch.zeros(rows, base.vae.config["latent_channels"], side, side, device=base.device)
        embeddings = base.encode_prompts([""]).expand(rows, -1, -1).contiguous()
        return latents, torch.full((rows,), 500.0, device=base.device), embeddings


def compiled_if_it_pays(
    model: "Resident", rows: Sequence[int], cache: Path, base: BaseModel | None = None
) -> CompiledUnet | None:
    """Compile the U-Net for batches of these numbers of rows; None where it fails or is hardly faster.

    The measurement is of the largest. What was compiled is kept in `cache` for the next start. `base` is the copy whose
    U-Net it is, by default the plain one.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache.absolute()))
    base = base or model.base
    unet = CompiledUnet(model, base)
    try:
        plain, fast = unet.seconds(max(rows), base.predict), unet.warm_up(max(rows))
        log.info("a pass of %d rows takes %.1f ms, compiled %.1f ms", max(rows), plain * 1000, fast * 1000)
        if plain < GAIN * fast:
            return None
        for each in sorted({*rows} - {max(rows)}):
            unet.warm_up(each)
    except Exception:
        log.exception("the U-Net could not be compiled and goes on as it is")
        return None
    return unet
