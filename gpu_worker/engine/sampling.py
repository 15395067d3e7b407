"""Drawing pictures with the resident base: a batch in which every picture may belong to another person.

A picture in work is a `Row` with its own latents, schedule, position and slot; `advance` takes any rows of one key one
denoising step further, whosever they are and wherever they stand. Rows join and leave between two steps.
"""

from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.memory import OUT_OF_MEMORY, give_back, ran_out
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.room import Room
from gpu_worker.engine.samplers import SamplerFamily, Schedule, schedule, step
from gpu_worker.engine.slots import Bank
from gpu_worker.engine.texts import Saying, embed

T = TypeVar("T")
Pauses = Generator[None, None, T]
"""Work that yields wherever the engine may turn to something else, and returns a T at the end."""
Embed = Callable[[Sequence[Saying]], dict[Saying, Tensor]]

BUCKETS = (1, 2, 4, 8, 16)
"""Batch sizes of a GPU, so that few shapes are compiled or captured; a batch between two is filled up."""


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
    family: SamplerFamily = SamplerFamily.DDIM

    @property
    def guided(self) -> bool:
        return self.guidance_scale > 1


@dataclass(eq=False, kw_only=True)
class Row:
    """A picture in work."""

    order: PictureOrder
    bank: Bank
    sampler: Sampler
    schedule: Schedule
    prompts: Tensor
    """[1, L, d] or, with guidance, [2, L, d]: without the prompt, and with it."""
    latents: Tensor
    """[c, h, w]"""
    estimate: Tensor
    """[c, h, w]: what the last step thought of the clean latents."""
    noise: Tensor | None
    """[steps, c, h, w], for schedules that add some."""
    position: int = 0

    @property
    def done(self) -> bool:
        return self.position == len(self.schedule)

    @property
    def line(self) -> Tensor:
        """The coefficients of the next step."""
        return self.schedule.table[self.position]

    @property
    def key(self) -> Hashable:
        """What rows must share to go through the networks together: not the person, the step or the sampler."""
        return id(self.bank), tuple(self.latents.shape), self.sampler.guided


def start(
    model: Resident, orders: Sequence[PictureOrder], sampler: Sampler, size: tuple[int, int], bank: Bank, embed: Embed
) -> list[Row]:
    """Begin pictures of `size` (width, height) in pixels.

    A picture's noise comes from its own seed alone, so it is the same in any company, within rounding.
    """
    said = [_said(order, sampler.guided) for order in orders]
    embeddings = embed([saying for sayings in said for saying in sayings])
    plan = schedule(model.process, sampler.family, sampler.steps)
    rows = []
    for order, sayings in zip(orders, said, strict=True):
        noise = noise_of(model.base, order.seed, *size, count=1 + len(plan) * plan.noisy).to(model.base.device)
        rows.append(
            Row(
                order=order,
                bank=bank,
                sampler=sampler,
                schedule=plan,
                prompts=torch.stack([embeddings[saying] for saying in sayings]),
                latents=noise[0] * plan.start,
                estimate=noise[0],
                noise=noise[1:] if plan.noisy else None,
            )
        )
    return rows


@torch.no_grad()
def advance(model: Resident, rows: Sequence[Row], *, thrifty: bool = False) -> None:
    """Take rows of one key one step further, all of them or, when something is raised, none.

    A thrifty step asks for the predictions with and without the prompt one after the other.
    """
    company = [*rows, *[rows[-1]] * (_bucket(model.base, len(rows)) - len(rows))]
    lines = torch.stack([row.line for row in company]).to(model.base.device, torch.float32)
    latents = torch.stack([row.latents for row in company])
    estimate = torch.stack([row.estimate for row in company])
    prediction = _predict(model, company, latents, lines[:, 0], thrifty=thrifty)
    latents, estimate = step(lines, latents, prediction, estimate, _noise(company, latents))
    for row, now, clean in zip(rows, latents, estimate, strict=False):  # what only fills the batch up is dropped
        row.latents, row.estimate = now, clean
        row.position += 1


def decode(model: Resident, rows: Sequence[Row]) -> Tensor:
    """Return pixels [B, 3, H, W] in 0..1; what does not fit into the memory together is decoded one by one."""
    latents = torch.stack([row.latents for row in rows])
    try:
        return model.base.decode(latents)
    except OUT_OF_MEMORY as problem:
        if not ran_out(problem) or len(rows) == 1:
            raise
    give_back()
    return torch.cat([model.base.decode(one) for one in latents.split(1)])


def draw(
    model: Resident,
    orders: Sequence[PictureOrder],
    sampler: Sampler,
    size: tuple[int, int] | None = None,
    bank: Bank | None = None,
) -> Pauses[Tensor]:
    """Draw one picture an order and return pixels [B, 3, H, W] in 0..1; yields after each denoising step.

    `size` is (width, height) in pixels, the base's own by default; `bank` holds the slots, the serving bank by default.
    Pictures that do not fit into the memory together are drawn in parts.
    """
    base, bank = model.base, bank or model.serving

    def fresh(sayings: Sequence[Saying]) -> dict[Saying, Tensor]:
        return embed(base, model.slots, bank, sayings)

    rows = start(model, orders, sampler, size or (base.resolution, base.resolution), bank, fresh)
    room = Room(len(rows))
    while going := [row for row in rows if not row.done]:
        behind = min(row.position for row in going)
        part = [row for row in going if row.position == behind][: room.most]

        def further(part: Sequence[Row] = part) -> None:
            advance(model, part, thrifty=room.thrifty)

        if room.attempt(further):
            yield
    return decode(model, rows)


def _said(order: PictureOrder, guided: bool) -> list[Saying]:
    prompts = [order.negative_prompt, order.prompt] if guided else [order.prompt]
    return [Saying(prompt, order.slot, order.strength) for prompt in prompts]


def _predict(model: Resident, rows: Sequence[Row], latents: Tensor, timesteps: Tensor, *, thrifty: bool) -> Tensor:
    """Return the prediction for latents [B, c, h, w] at timesteps [B], guided where the rows are."""
    prompts = torch.stack([row.prompts for row in rows], dim=1)  # [1 or 2, B, L, d]
    passes = prompts.unsqueeze(1) if thrifty else prompts.unsqueeze(0)
    copies = passes.shape[1]  # of the latents in one pass
    where = [row.order.slot for row in rows] * copies
    strength = [row.order.strength for row in rows] * copies
    inputs, steps = latents.repeat(copies, 1, 1, 1), timesteps.repeat(copies)
    with model.slots.use(rows[0].bank, where, None if all(s == 1 for s in strength) else strength):
        answers = [model.base.predict(inputs, steps, of_pass.flatten(0, 1)) for of_pass in passes]
    if len(prompts) == 1:
        return answers[0]
    without, prompted = torch.cat(answers).chunk(2)
    scale = torch.tensor([row.sampler.guidance_scale for row in rows], device=latents.device)
    return without + scale.view(-1, 1, 1, 1) * (prompted - without)


def _noise(rows: Sequence[Row], like: Tensor) -> Tensor | None:
    if all(row.noise is None for row in rows):
        return None
    quiet = torch.zeros_like(like[0])
    return torch.stack([quiet if row.noise is None else row.noise[row.position] for row in rows])


def _bucket(base: BaseModel, count: int) -> int:
    if base.device.type != "cuda":
        return count
    return next((bucket for bucket in BUCKETS if bucket >= count), count)


def noise_of(base: BaseModel, seed: int, width: int, height: int, count: int = 1) -> Tensor:
    """Return latent noise [count, c, h, w], drawn on the CPU so that a seed means the same picture on every device."""
    shape = base.vae.config["latent_channels"], height // base.pixels_per_latent, width // base.pixels_per_latent
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randn(shape, generator=generator) for _ in range(count)])
