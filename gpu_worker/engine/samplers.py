"""Samplers: how latents get from noise to a picture, with every row of a batch at its own step of its own schedule.

A step of any family is linear in what it works with, so a schedule is a table of coefficients, computed once on the CPU
in float64; a batch gathers a line for each of its rows, and rows of different families, lengths and positions take
their steps together. Latents are kept as the network sees them (variance preserving) in every family, also in those
that their authors write for latents of growing variance.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import torch
from diffusers import DDPMScheduler
from torch import Tensor

LEAST_SIGNAL = 2.0**-24
"""The share of signal that Euler and DPM++, which divide by it, see where there is none at all."""
LCM_STEPS, LCM_SCALE, LCM_DATA = 50, 10.0, 0.5
"""Latent consistency models: steps of the schedule they were distilled on, timestep scaling, deviation of the data."""


class SamplerFamily(StrEnum):
    DDIM = "ddim"
    EULER = "euler"
    DPM = "dpm++2m"
    LCM = "lcm"
    FLOW = "flow"


@dataclass(frozen=True, eq=False)
class Process:
    """The noising that a base was trained to undo."""

    alphas_cumprod: Tensor
    """[train timesteps], float64 on the CPU: the share of signal power left at each; rescaled betas end at 0."""
    prediction_type: str
    """`epsilon`, `v_prediction`, or `flow_prediction`, which has no use for the alphas but their number."""
    last_signal: float = 1.0
    """The share of signal that DDIM ends at."""
    shift: float = 1.0
    """Of flow matching: how far its noise levels are moved up."""


@dataclass(frozen=True, eq=False)
class Schedule:
    table: Tensor
    """[steps, 7] float64: the timestep; the clean estimate's share of (latents, prediction); the next latents' share of
    (latents, prediction, last estimate, fresh noise)."""
    start: float
    """What starting noise is multiplied with."""
    noisy: bool
    """Whether steps add noise, of which a row then has [steps, c, h, w]."""
    levels: Tensor
    """[steps + 1, 2] float64: the shares of (clean latents, noise) before each step; at the end there is no noise."""

    def __len__(self) -> int:
        return len(self.table)


def process_of(config: Mapping[str, Any]) -> Process:
    """Read a scheduler's configuration as diffusers writes it."""
    if str(config.get("_class_name", "")).startswith("FlowMatch"):
        count = int(config.get("num_train_timesteps", 1000))
        return Process(torch.ones(count).double(), "flow_prediction", shift=float(config.get("shift", 1.0)))
    alphas = DDPMScheduler.from_config(dict(config)).alphas_cumprod.double()
    last = 1.0 if config.get("set_alpha_to_one", True) else float(alphas[0])
    return Process(alphas, str(config["prediction_type"]), last)


@lru_cache(maxsize=256)
def schedule(process: Process, family: SamplerFamily, steps: int, skipped: int = 0) -> Schedule:
    """Return the schedule of so many steps without the first ones, which a picture skips that goes on from another.

    Bases that were trained by flow matching have one family only.
    """
    if process.prediction_type == "flow_prediction":
        return _flow(process, steps, skipped)
    return {
        SamplerFamily.DDIM: _ddim,
        SamplerFamily.EULER: _euler,
        SamplerFamily.DPM: _dpm,
        SamplerFamily.LCM: _lcm,
    }[family](process, steps, skipped)


def step(
    lines: Tensor, latents: Tensor, prediction: Tensor, estimate: Tensor, noise: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Take one step with every row: lines [B, 7] of their tables, everything else [B, c, h, w].

    Returns the next latents and the estimate of the clean ones, which the row's next step may need.
    """
    _, clean_x, clean_p, next_x, next_p, next_e, next_n = lines.view(*lines.shape, 1, 1, 1).unbind(1)
    after = next_x * latents + next_p * prediction + next_e * estimate
    if noise is not None:
        after = after + next_n * noise
    return after, clean_x * latents + clean_p * prediction


# What a prediction says. Each function gives shares of (latents, prediction), [steps] each.


def _clean(process: Process, signal: Tensor, mute: Tensor) -> tuple[Tensor, Tensor]:
    """The clean latents x0, where `mute` 0, the mean."""
    alpha, sigma = signal.sqrt(), (1 - signal).sqrt()
    if process.prediction_type == "epsilon":
        return torch.where(mute, 0.0, 1 / alpha), torch.where(mute, 0.0, -sigma / alpha)
    return alpha, -sigma


def _mute(process: Process, timesteps: Tensor) -> Tensor:
    """Tell where an epsilon model sees nothing but noise: giving it back is right then, and says nothing of x0."""
    return (process.alphas_cumprod[timesteps] == 0) & (process.prediction_type == "epsilon")


def _noise(process: Process, signal: Tensor, mute: Tensor) -> tuple[Tensor, Tensor]:
    """The noise; v = alpha noise - sigma x0 (Salimans & Ho 2022, arXiv 2202.00512, appendix D)."""
    if process.prediction_type == "epsilon":
        return mute.double(), 1 - mute.double()
    return (1 - signal).sqrt(), signal.sqrt()


# Families.


def _trailing(process: Process, steps: int) -> Tensor:
    """Timesteps from the last one on, which other spacings never visit (Lin et al. 2023, arXiv 2305.08891)."""
    count = len(process.alphas_cumprod)
    return torch.arange(count, 0, -count / steps, dtype=torch.float64)[:steps].round().long() - 1


def _ddim(process: Process, steps: int, skipped: int) -> Schedule:
    """Song et al. 2020, arXiv 2010.02502, equation 12 with eta 0."""
    timesteps = _trailing(process, steps)[skipped:]
    before = timesteps - len(process.alphas_cumprod) // steps
    signal = process.alphas_cumprod[timesteps]
    after = torch.where(before >= 0, process.alphas_cumprod[before.clamp(min=0)], process.last_signal)
    return _towards(process, timesteps, signal, after, start=1.0)


def _euler(process: Process, steps: int, skipped: int) -> Schedule:
    """Karras et al. 2022, arXiv 2206.00364, algorithm 2 without churn: dx = noise d(sigma), which is DDIM's step."""
    timesteps = _trailing(process, steps)[skipped:]
    signal = _some_signal(process)[timesteps]
    after = torch.cat([signal[1:], torch.ones(1).double()])
    return _towards(process, timesteps, signal, after, start=float((1 - signal[0]).sqrt()))


def _towards(process: Process, timesteps: Tensor, signal: Tensor, after: Tensor, start: float) -> Schedule:
    """Go along the predicted noise: alpha' x0 + sigma' noise."""
    mute = _mute(process, timesteps)
    clean, noise = _clean(process, signal, mute), _noise(process, signal, mute)
    alpha, sigma = after.sqrt(), (1 - after).sqrt()
    following = [alpha * c + sigma * n for c, n in zip(clean, noise, strict=True)]
    return _schedule(timesteps, (signal.sqrt(), (1 - signal).sqrt()), clean, following, start=start)


def _dpm(process: Process, steps: int, skipped: int) -> Schedule:
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2); the last step, and the first, of order one."""
    timesteps = _trailing(process, steps)[skipped:]
    signal = _some_signal(process)[timesteps]
    mute = _mute(process, timesteps)
    clean = _clean(process, signal, mute)
    after = torch.cat([signal[1:], torch.ones(1).double()])
    alpha, sigma = after.sqrt(), (1 - after).sqrt()
    level = (signal / (1 - signal)).log() / 2  # lambda, half the logarithm of the signal-to-noise ratio
    h = torch.cat([level[1:] - level[:-1], torch.tensor([torch.inf]).double()])
    weight = -alpha * torch.expm1(-h)  # of x0
    ratio = torch.cat([torch.zeros(1).double(), h[1:] / h[:-1] / 2])  # 1 / (2 r): how far to go on as from the last x0
    ratio[-1] = 0
    ratio = torch.where(mute.roll(1), 0.0, ratio)  # what was said then was nothing
    keep = sigma / (1 - signal).sqrt()
    following = [keep + weight * (1 + ratio) * clean[0], weight * (1 + ratio) * clean[1]]
    return _schedule(timesteps, (signal.sqrt(), (1 - signal).sqrt()), clean, following, estimate=-weight * ratio)


def _lcm(process: Process, steps: int, skipped: int) -> Schedule:
    """Latent consistency models (Luo et al. 2023, arXiv 2310.04378, algorithm 1); more than 50 steps there are not."""
    own = torch.arange(LCM_STEPS, 0, -1) * (len(process.alphas_cumprod) // LCM_STEPS) - 1
    count = min(steps, LCM_STEPS)
    timesteps = own[torch.arange(count) * LCM_STEPS // count][skipped:]
    signal = process.alphas_cumprod[timesteps]
    after = torch.cat([signal[1:], torch.ones(1).double()])
    scaled = timesteps * LCM_SCALE
    skip, out = LCM_DATA**2 / (scaled**2 + LCM_DATA**2), scaled / (scaled**2 + LCM_DATA**2).sqrt()
    clean_x, clean_p = _clean(process, signal, _mute(process, timesteps))
    alpha = after.sqrt()
    following = [alpha * (out * clean_x + skip), alpha * out * clean_p]
    levels = signal.sqrt(), (1 - signal).sqrt()
    return _schedule(timesteps, levels, (clean_x, clean_p), following, noise=(1 - after).sqrt())


def _flow(process: Process, steps: int, skipped: int) -> Schedule:
    """Euler for flow matching (Lipman et al. 2022, arXiv 2210.02747): the prediction is noise - x0."""
    count, shift = len(process.alphas_cumprod), process.shift

    def shifted(sigma: Tensor) -> Tensor:
        return shift * sigma / (1 + (shift - 1) * sigma)

    least = float(shifted(torch.tensor(1 / count).double()))
    sigma = shifted(torch.linspace(1, least, steps, dtype=torch.float64))[skipped:]
    after = torch.cat([sigma[1:], torch.zeros(1).double()])
    one = torch.ones_like(sigma)
    return _schedule(sigma * count, (1 - sigma, sigma), (one, -sigma), [one, after - sigma])


def _some_signal(process: Process) -> Tensor:
    return torch.where(process.alphas_cumprod == 0, LEAST_SIGNAL, process.alphas_cumprod)


def _schedule(
    timesteps: Tensor,
    levels: tuple[Tensor, Tensor],
    clean: tuple[Tensor, Tensor],
    following: list[Tensor],
    *,
    start: float = 1.0,
    estimate: Tensor | None = None,
    noise: Tensor | None = None,
) -> Schedule:
    none = torch.zeros(len(timesteps)).double()
    columns = [timesteps.double(), *clean, *following, none if estimate is None else estimate]
    table = torch.stack([*columns, none if noise is None else noise], dim=1)
    noised = torch.cat([torch.stack(levels, dim=1), torch.tensor([[1.0, 0.0]]).double()])
    return Schedule(table, start, noise is not None, noised)
