"""Drawing pictures with the resident base: a batch in which every picture may belong to another person.

A picture in work is a `Row` with its own latents, schedule, position and views; `advance` takes any rows of one key one
denoising step further, whosever they are and wherever they stand. Rows join and leave between two steps.
"""

from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.memory import OUT_OF_MEMORY, give_back, ran_out
from gpu_worker.engine.origins import Origin, steps_taken
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.room import Room
from gpu_worker.engine.samplers import SamplerFamily, Schedule, schedule, step
from gpu_worker.engine.slots import Bank
from gpu_worker.engine.texts import Saying, embed
from gpu_worker.engine.views import Window, blend, lay_out

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
    subjects: tuple[Saying, ...] = ()
    """The two who stand side by side, from left to right, in place of `prompt` and `slot`."""
    origin: Origin | None = None

    @property
    def voices(self) -> tuple[Saying, ...]:
        """Whose words and adapters draw it."""
        return self.subjects or (Saying(self.prompt, self.slot, self.strength),)


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """How pictures are drawn."""

    steps: int
    guidance_scale: float
    """Classifier-free guidance (Ho & Salimans 2022); 1 turns it off and halves the work."""
    family: SamplerFamily = SamplerFamily.DDIM
    fast: bool = False
    """On the fast copy of the base; see `fast_copy`."""

    @property
    def guided(self) -> bool:
        return self.guidance_scale > 1


@dataclass(frozen=True, eq=False)
class View:
    """What the network sees of a picture in one pass, in whose voice."""

    window: Window
    voice: Saying
    prompts: Tensor
    """[1, L, d] or, with guidance, [2, L, d]: without the prompt, and with it."""


@dataclass(eq=False, kw_only=True)
class Row:
    """A picture in work."""

    order: PictureOrder
    bank: Bank
    sampler: Sampler
    schedule: Schedule
    views: Sequence[View]
    latents: Tensor
    """[c, h, w]"""
    estimate: Tensor
    """[c, h, w]: what the last step thought of the clean latents."""
    noise: Tensor
    """[1, c, h, w], which it began from; for schedules that add some, [1 + steps, c, h, w]."""
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
        window = self.views[0].window
        return id(self.bank), window.height, window.width, self.sampler.guided, self.sampler.fast


def start(
    model: Resident, orders: Sequence[PictureOrder], sampler: Sampler, size: tuple[int, int], bank: Bank, embed: Embed
) -> list[Row]:
    """Begin pictures of `size` (width, height) in pixels.

    A picture's noise comes from its own seed alone, so it is the same in any company, within rounding.
    """
    said = {order: [_sides(voice, order, sampler) for voice in order.voices] for order in orders}
    embeddings = embed([saying for voices in said.values() for sides in voices for saying in sides])
    rows = []
    for order in orders:
        prompts = [torch.stack([embeddings[saying] for saying in sides]) for sides in said[order]]
        windows = windows_of(model.base, size, len(order.voices))
        plan = plan_of(model, sampler, 1.0 if order.origin is None else order.origin.strength)
        noise = noise_of(model.base, order.seed, *size, count=1 + len(plan) * plan.noisy).to(model.base.device)
        rows.append(
            Row(
                order=order,
                bank=bank,
                sampler=sampler,
                schedule=plan,
                views=[View(window, order.voices[window.voice], prompts[window.voice]) for window in windows],
                latents=noise[0] * plan.start if order.origin is None else order.origin.begin(plan, noise[0]),
                estimate=noise[0],
                noise=noise,
            )
        )
    return rows


def plan_of(model: Resident, sampler: Sampler, strength: float = 1.0) -> Schedule:
    """Return the steps of a picture that is begun at a strength from another; at 1 these are all."""
    steps = len(schedule(model.process, sampler.family, sampler.steps))
    return schedule(model.process, sampler.family, sampler.steps, steps - steps_taken(steps, strength))


def windows_of(base: BaseModel, size: tuple[int, int], voices: int) -> tuple[Window, ...]:
    """Return the windows in which a picture of `size` (width, height) in pixels is shown to the U-Net."""
    width, height = (side // base.pixels_per_latent for side in size)
    side, grain = (pixels // base.pixels_per_latent for pixels in (base.resolution, base.size_multiple))
    return lay_out(height, width, side, grain, voices)


@torch.no_grad()
def advance(model: Resident, rows: Sequence[Row], *, most: int = BUCKETS[-1], thrifty: bool = False) -> None:
    """Take rows of one key one step further, all of them or, when something is raised, none.

    The U-Net is shown at most `most` views at once; a thrifty step asks for one view at a time, and for the predictions
    with and without the prompt one after the other.
    """
    predictions = _predict(model, rows, 1 if thrifty else most, thrifty=thrifty)
    alike: dict[torch.Size, list[int]] = {}
    for number, row in enumerate(rows):
        alike.setdefault(row.latents.shape, []).append(number)
    moved = [
        (rows[number], *after)
        for group in alike.values()
        for number, after in zip(group, _step([rows[n] for n in group], [predictions[n] for n in group]), strict=True)
    ]
    for row, latents, estimate in moved:
        row.position += 1
        row.latents, row.estimate = latents, estimate
        if row.order.origin is not None:
            row.latents = row.order.origin.keep(latents, row.schedule, row.position, row.noise[0])


def _step(rows: Sequence[Row], predictions: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Return the next latents and the estimate of the clean ones, [c, h, w] each, of rows of one size."""
    latents = torch.stack([row.latents for row in rows])
    lines = torch.stack([row.line for row in rows]).to(latents.device, torch.float32)
    estimate = torch.stack([row.estimate for row in rows])
    after = step(lines, latents, torch.stack(list(predictions)), estimate, _fresh_noise(rows, latents))
    return list(zip(*after, strict=True))


def decode(base: BaseModel, rows: Sequence[Row]) -> Tensor:
    """Return pixels [B, 3, H, W] in 0..1; what does not fit into the memory together is decoded one by one."""
    latents = torch.stack([row.latents for row in rows])
    try:
        return base.decode(latents)
    except OUT_OF_MEMORY as problem:
        if not ran_out(problem) or len(rows) == 1:
            raise
    give_back()
    return torch.cat([base.decode(one) for one in latents.split(1)])


def draw(
    model: Resident,
    orders: Sequence[PictureOrder],
    sampler: Sampler,
    size: tuple[int, int] | None = None,
    bank: Bank | None = None,
    *,
    preview: bool = False,
) -> Pauses[Tensor]:
    """Draw one picture an order and return pixels [B, 3, H, W] in 0..1; yields after each denoising step.

    `size` is (width, height) in pixels, the base's own by default; `bank` holds the slots, the serving bank by default.
    Pictures that do not fit into the memory together are drawn in parts. Previews are decoded by the tiny autoencoder,
    where there is one.
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
            advance(model, part, most=room.most, thrifty=room.thrifty)

        if room.attempt(further):
            yield
    return decode(model.previewing if preview else base, rows)


def _sides(voice: Saying, order: PictureOrder, sampler: Sampler) -> list[Saying]:
    """Return what is said in a voice: without the prompt, where there is guidance, and with it."""
    return [replace(voice, prompt=order.negative_prompt), voice] if sampler.guided else [voice]


def _predict(model: Resident, rows: Sequence[Row], most: int, *, thrifty: bool) -> list[Tensor]:
    """Return each row's prediction [c, h, w], guided where the rows are, put together from those of its views."""
    looks = [(row, view) for row in rows for view in row.views]
    said: list[Tensor] = []
    for start in range(0, len(looks), most):
        said += _look(model, looks[start : start + most], thrifty=thrifty)
    predictions = []
    for row in rows:
        mine, said = said[: len(row.views)], said[len(row.views) :]
        predictions.append(blend([view.window for view in row.views], mine, row.latents))
    return predictions


def _look(model: Resident, looks: Sequence[tuple[Row, View]], *, thrifty: bool) -> list[Tensor]:
    """Return what the U-Net says of each view, [c, height, width] each."""
    company = [*looks, *[looks[-1]] * (_bucket(model.base, len(looks)) - len(looks))]
    latents = torch.stack([view.window.cut(row.latents) for row, view in company])
    timesteps = torch.stack([row.line[0] for row, _ in company]).to(latents.device, torch.float32)
    prompts = torch.stack([view.prompts for _, view in company], dim=1)  # [1 or 2, B, L, d]
    passes = prompts.unsqueeze(1) if thrifty else prompts.unsqueeze(0)
    copies = passes.shape[1]  # of the latents in one pass
    where = [view.voice.slot for _, view in company] * copies
    strength = [view.voice.strength for _, view in company] * copies
    inputs, steps = latents.repeat(copies, 1, 1, 1), timesteps.repeat(copies)
    bank, copy = looks[0][0].bank, model.copy_for(fast=looks[0][0].sampler.fast)
    compiled = copy.compiled if copy.compiled is not None and copy.compiled.is_warm_for(inputs, bank) else None
    network = compiled or copy.base
    with model.slots.use(bank, where, None if all(s == 1 for s in strength) else strength, apart=bool(compiled)):
        answers = [network.predict(inputs, steps, of_pass.flatten(0, 1)) for of_pass in passes]
    if len(prompts) == 1:
        return list(answers[0][: len(looks)])
    without, prompted = torch.cat(answers).chunk(2)
    scale = torch.tensor([row.sampler.guidance_scale for row, _ in company], device=latents.device)
    return list((without + scale.view(-1, 1, 1, 1) * (prompted - without))[: len(looks)])


def _fresh_noise(rows: Sequence[Row], like: Tensor) -> Tensor | None:
    if not any(row.schedule.noisy for row in rows):
        return None
    quiet = torch.zeros_like(like[0])
    return torch.stack([row.noise[1 + row.position] if row.schedule.noisy else quiet for row in rows])


def _bucket(base: BaseModel, count: int) -> int:
    if base.device.type != "cuda":
        return count
    return next((bucket for bucket in BUCKETS if bucket >= count), count)


def noise_of(base: BaseModel, seed: int, width: int, height: int, count: int = 1) -> Tensor:
    """Return latent noise [count, c, h, w], drawn on the CPU so that a seed means the same picture on every device."""
    shape = base.vae.config["latent_channels"], height // base.pixels_per_latent, width // base.pixels_per_latent
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randn(shape, generator=generator) for _ in range(count)])
