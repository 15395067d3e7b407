"""Drawing pictures with the resident base: a batch in which every picture may belong to another person.

`draw` is a generator that yields after each denoising step, so that the engine's loop can do other things in between.
"""

import logging
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from diffusers import DDIMScheduler
from PIL import Image
from torch import Tensor

from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.memory import OUT_OF_MEMORY, give_back, ran_out
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.slots import Bank

log = logging.getLogger(__name__)

T = TypeVar("T")
Pauses = Generator[None, None, T]
"""Work that yields wherever the engine may turn to something else, and returns a T at the end."""

LEAST_DISPLAY_SIDE = 384
"""Pixels: pictures of small bases are enlarged to this, for they would be stamps in a chat."""
LARGEST_AREA = 1.6
"""As a share of the base's own area: above it the family repeats its subject, so we draw smaller and enlarge."""


@dataclass(frozen=True, kw_only=True)
class PictureOrder:
    """One picture to draw. `slot` 0 is the plain base."""

    prompt: str
    seed: int
    negative_prompt: str = ""
    slot: int = 0
    strength: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """How pictures are drawn."""

    steps: int
    guidance_scale: float
    """Classifier-free guidance (Ho & Salimans 2022); 1 turns it off and halves the work."""


def draw(
    model: Resident,
    orders: Sequence[PictureOrder],
    sampler: Sampler,
    size: tuple[int, int] | None = None,
    bank: Bank | None = None,
) -> Pauses[Tensor]:
    """Draw one picture an order and return pixels [B, 3, H, W] in 0..1; yields after each denoising step.

    `size` is (width, height) in pixels, the base's own by default; `bank` holds the slots, the serving bank by default.
    A picture's noise comes from its own seed alone, so it is the same in any company, within rounding. Pictures that do
    not fit into the memory together are drawn one after another.
    """
    try:
        return (yield from _draw(model, orders, sampler, size, bank, thrifty=False))
    except OUT_OF_MEMORY as problem:
        if not ran_out(problem):
            raise
        log.warning("%d pictures do not fit into the memory together", len(orders))
    give_back()
    pixels = []
    for order in orders:
        picture = yield from _draw(model, [order], sampler, size, bank, thrifty=True)
        pixels.append(picture)
    return torch.cat(pixels)


def _draw(
    model: Resident,
    orders: Sequence[PictureOrder],
    sampler: Sampler,
    size: tuple[int, int] | None,
    bank: Bank | None,
    *,
    thrifty: bool,
) -> Pauses[Tensor]:
    """Draw in one batch. A thrifty one asks for the predictions with and without the prompt one after the other."""
    base, slots = model.base, model.slots
    width, height = size or (base.resolution, base.resolution)
    guided = sampler.guidance_scale > 1
    with_prompts, without = [order.prompt for order in orders], [order.negative_prompt for order in orders]
    passes = [with_prompts]
    if guided:
        passes = [without, with_prompts] if thrifty else [without + with_prompts]
    copies = len(passes[0]) // len(orders)  # of the latents in one pass
    where = [order.slot for order in orders] * copies
    strength = [order.strength for order in orders] * copies
    use = (bank or model.serving, where, None if all(s == 1 for s in strength) else strength)

    scheduler = _scheduler(base)
    scheduler.set_timesteps(sampler.steps, device=base.device)
    latents = torch.stack([starting_noise(base, order.seed, width, height) for order in orders]).to(base.device)
    latents = latents * scheduler.init_noise_sigma
    with torch.no_grad(), slots.use(*use):
        embeddings = [base.encode_prompts(prompts) for prompts in passes]
    for timestep in scheduler.timesteps:
        with torch.no_grad(), slots.use(*use):
            inputs = torch.cat([latents] * copies)
            steps = timestep.expand(len(inputs))
            prediction = torch.cat([base.predict(inputs, steps, prompts) for prompts in embeddings])
        if guided:
            unguided, prompted = prediction.chunk(2)
            prediction = unguided + sampler.guidance_scale * (prompted - unguided)
        latents = scheduler.step(prediction, timestep, latents, return_dict=False)[0]
        yield
    return base.decode(latents)


def _scheduler(base: BaseModel) -> DDIMScheduler:
    """Return DDIM (Song et al. 2020), trailing, for other spacings never visit the last timestep (Lin et al. 2023)."""
    return DDIMScheduler.from_config(base.scheduler_config, timestep_spacing="trailing", clip_sample=False)


def starting_noise(base: BaseModel, seed: int, width: int, height: int) -> Tensor:
    """Return latent noise [c, h, w], drawn on the CPU so that a seed means the same picture on every device."""
    scale = base.pixels_per_latent
    shape = (base.vae.config["latent_channels"], height // scale, width // scale)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def drawing_size(base: BaseModel, width: int | None, height: int | None) -> tuple[int, int]:
    """Return the size at which to draw a picture that is asked for at `width` by `height`.

    A picture much larger than the base's own is drawn at the base's area with the same aspect, then enlarged.
    """
    wide, high = _asked(base, width, height)
    own = base.resolution**2
    shrink = math.sqrt(own / (wide * high)) if wide * high > LARGEST_AREA * own else 1.0
    grain = base.size_multiple

    def whole(side: float) -> int:
        return max(grain, round(side * shrink / grain) * grain)

    return whole(wide), whole(high)


def for_display(base: BaseModel, picture: Image.Image, width: int | None, height: int | None) -> Image.Image:
    """Return the picture at the size that was asked for; with none asked, enlarged when it is very small."""
    wide, high = picture.size if width is None and height is None else _asked(base, width, height)
    if width is None and height is None:
        enlarge = math.ceil(LEAST_DISPLAY_SIDE / min(wide, high))
        wide, high = wide * enlarge, high * enlarge
    return picture if picture.size == (wide, high) else picture.resize((wide, high), Image.Resampling.LANCZOS)


def _asked(base: BaseModel, width: int | None, height: int | None) -> tuple[int, int]:
    return width or height or base.resolution, height or width or base.resolution
