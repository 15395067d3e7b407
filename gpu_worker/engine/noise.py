"""Noise: how much of it a training step sees, what the U-Net is to answer, and how much each answer counts."""

import torch
from torch import Tensor

from gpu_worker.engine.recipes import Recipe


def spread(count: int, steps: int, batch: int, generator: torch.Generator) -> Tensor:
    """Return indices below `count`, [steps, batch]: each as likely as any other, and those of one step far apart.

    So every step sees little, middling and much noise, and its loss varies less with the luck of the draw (the
    low-discrepancy sampler of Kingma et al. 2021, arXiv 2107.00630).
    """
    shares = (torch.rand(steps, 1, generator=generator) + torch.arange(batch) / batch) % 1
    mixed = shares.gather(1, torch.rand(steps, batch, generator=generator).argsort(dim=1))
    return (mixed * count).long().clamp(max=count - 1)


def add_noise(latents: Tensor, noise: Tensor, alphas_cumprod: Tensor, prediction_type: str) -> tuple[Tensor, Tensor]:
    """Return the noisy latents and what the U-Net should answer: the noise, or the velocity (Salimans & Ho 2022)."""
    signal = alphas_cumprod.sqrt().view(-1, 1, 1, 1)
    spread = (1 - alphas_cumprod).sqrt().view(-1, 1, 1, 1)
    noisy = signal * latents + spread * noise
    return noisy, noise if prediction_type == "epsilon" else signal * noise - spread * latents


def loss_weights(alphas_cumprod: Tensor, prediction_type: str, recipe: Recipe) -> Tensor:
    """Return the min-SNR weight of each timestep (Hang et al. 2023, section 3.4), or ones where the recipe has none."""
    if recipe.min_snr is None:
        return torch.ones_like(alphas_cumprod)
    snr = alphas_cumprod / (1 - alphas_cumprod)
    if prediction_type == "epsilon":
        return snr.clamp(max=recipe.min_snr) / snr
    return (snr + recipe.snr_offset).clamp(max=recipe.min_snr) / (snr + 1)
