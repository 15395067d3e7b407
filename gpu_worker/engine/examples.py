"""What a training learns from, and what each of its steps looks at.

Images were encoded beforehand; all chance in what is looked at comes from one seed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Latents:
    """Encoded images: the mean and the standard deviation of each latent, [N, K, c, h, w] for K views of N images."""

    mean: Tensor
    std: Tensor
    emphasis: Tensor | None = None
    """How much each place of a latent counts in the loss, [N, K, 1, h, w] with mean 1; None where all count alike."""

    def draw(self, image: Tensor, view: Tensor, generator: torch.Generator) -> Tensor:
        """Sample latents [B, c, h, w] of the given images and views."""
        mean = self.mean[image, view]
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return mean + self.std[image, view] * noise


@dataclass(frozen=True)
class Examples:
    """Images of one size to learn from, each with the prompts that fit it, of which one is said when it is looked at.

    Images of several sizes are several examples: the field's aspect buckets.
    """

    latents: Latents
    prompts: Sequence[Sequence[str]]

    @property
    def size(self) -> tuple[int, ...]:
        """[c, h, w] of a latent."""
        return tuple(self.latents.mean.shape[2:])

    def without_last_view(self) -> tuple["Examples", Latents]:
        """Return the examples without the last view of each image, and those last views, [N, 1, c, h, w]."""
        mean, std = self.latents.mean, self.latents.std
        cut = max(mean.shape[1] - 1, 1)  # where there is only one, it is trained on as well
        emphasis = self.latents.emphasis[:, :cut] if self.latents.emphasis is not None else None
        rest = Latents(mean[:, :cut], std[:, :cut], emphasis)
        return Examples(rest, self.prompts), Latents(mean[:, -1:], std[:, -1:])

    def lay_out(
        self, steps: int, batch: int, generator: torch.Generator, dropout: float = 0.0
    ) -> tuple[Tensor, Tensor, list[list[str]]]:
        """Return the images, their views and their prompts for every step, each [steps, batch].

        A share of `dropout` of the prompts is empty, so that guidance too learns the subject (Ho & Salimans 2022).
        """
        image = balanced(len(self.latents.mean), steps * batch, generator).view(steps, batch)
        view = torch.randint(self.latents.mean.shape[1], (steps, batch), generator=generator)
        chance = torch.rand(steps, batch, 2, generator=generator).tolist()

        def say(image: int, which: float, silence: float) -> str:
            fitting = self.prompts[image]
            return "" if silence < dropout else fitting[int(which * len(fitting))]

        said = [
            [say(at, *luck) for at, luck in zip(*row, strict=True)] for row in zip(image.tolist(), chance, strict=True)
        ]
        return image, view, said


@dataclass(frozen=True)
class Draws:
    """What each step looks at, [steps, B]: laid out beforehand, so that it depends on the seed and on nothing else."""

    bucket: Sequence[int]
    """Which of the photos' sizes each step looks at."""
    photo: Tensor
    """The row's place among the photos of that size."""
    view: Tensor
    class_image: Tensor
    class_view: Tensor
    timestep: Tensor
    """[steps, B or 2 B], as are the prompts."""
    prompt: Tensor
    """The row's place among the prompts that its step says."""
    said: Sequence[Sequence[str]]
    """The different prompts of each step."""


def turns(counts: Sequence[int], steps: int, generator: torch.Generator) -> list[int]:
    """Return which of some buckets, which hold so many photos, each step looks at: every photo leads as many steps."""
    if len(counts) == 1:
        return [0] * steps
    buckets = [bucket for bucket, count in enumerate(counts) for _ in range(count)]
    return [buckets[leader] for leader in balanced(len(buckets), steps, generator).tolist()]


def lay_out(
    buckets: Sequence[Examples], turns: Sequence[int], batch: int, generator: torch.Generator, dropout: float = 0.0
) -> tuple[Tensor, Tensor, list[list[str]]]:
    """Return the images, their views and their prompts as `Examples.lay_out` does, where each step has its bucket."""
    image, view = torch.zeros(2, len(turns), batch, dtype=torch.int64)
    said: list[list[str]] = [[] for _ in turns]
    for bucket, examples in enumerate(buckets):
        steps = [step for step, turn in enumerate(turns) if turn == bucket]
        if not steps:
            continue
        image[steps], view[steps], texts = examples.lay_out(len(steps), batch, generator, dropout)
        for step, text in zip(steps, texts, strict=True):
            said[step] = text
    return image, view, said


def balanced(count: int, length: int, generator: torch.Generator) -> Tensor:
    """Return `length` indices below `count`, shuffled in rounds so that each appears as often as any other."""
    rounds = [torch.randperm(count, generator=generator) for _ in range(math.ceil(length / count))]
    return torch.cat(rounds)[:length]
