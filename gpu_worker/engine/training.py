"""The DreamBooth step (Ruiz et al. 2022, arXiv 2208.12242) on one slot of the base.

Each step noises a few views of the photos and as many class images, and asks the U-Net for the noise (or the velocity)
under "a photo of sks dog" and "a photo of a dog". The second half is prior preservation: it keeps other dogs other
dogs. Images were encoded beforehand as latent mean and standard deviation, drawn anew at each step; nothing is read
from disk and nothing is sent back from the device within a step. All chance comes from (seed, step), so that a training
that was interrupted goes on to the very same result.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gpu_worker.engine.recipes import Recipe
from gpu_worker.engine.resident import Resident

SLOT = 1
"""The slot of the training bank that learns."""


class Diverged(Exception):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Latents:
    """Encoded images: the mean and the standard deviation of each latent, [N, K, c, h, w] for K views of N images."""

    mean: Tensor
    std: Tensor

    def draw(self, image: Tensor, view: Tensor, generator: torch.Generator) -> Tensor:
        """Sample latents [B, c, h, w] of the given images and views."""
        mean = self.mean[image, view]
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return mean + self.std[image, view] * noise


@dataclass(frozen=True)
class Draws:
    """What each step looks at, [steps, B]: laid out beforehand, so that it depends on the seed and on nothing else."""

    photo: Tensor
    view: Tensor
    class_image: Tensor
    class_view: Tensor
    timestep: Tensor


class DreamBooth:
    """The training of one subject. `photos` and `class_images` are latents; the latter is None without a prior."""

    def __init__(
        self,
        model: Resident,
        recipe: Recipe,
        photos: Latents,
        class_images: Latents | None,
        instance_prompt: str,
        class_prompt: str,
        seed: int,
    ) -> None:
        self.model, self.recipe, self.seed = model, recipe, seed
        self.photos, self.class_images = photos, class_images
        self.prompts = [instance_prompt] if class_images is None else [instance_prompt, class_prompt]
        self.bank = model.training_bank(recipe.rank)
        self.bank.start(SLOT, recipe.rank, torch.Generator().manual_seed(seed))
        self.optimizer = self._optimizer()
        self.average = (
            {name: tensor.detach().clone() for name, tensor in self.parameters().items()} if recipe.ema else {}
        )
        self.draws = self._lay_out()
        self.resting_embeddings = None if self.text_trains else self._embed()
        self.weights = loss_weights(model.base.alphas_cumprod, model.base.prediction_type, recipe.min_snr)
        self.position = 0
        """Steps done."""

    @property
    def text_trains(self) -> bool:
        return self.recipe.text_learning_rate > 0

    def step(self) -> Tensor:
        """Do one optimiser step and return its loss, still on the device."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * rate_at(self.position, self.recipe)
        with self.model.slots.use(self.bank, [SLOT]):
            loss = self._loss(self.position)
            torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.parameters().values(), self.recipe.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.recipe.ema:
            torch._foreach_lerp_(list(self.average.values()), list(self.parameters().values()), 1 - self.recipe.ema)
        self.position += 1
        return loss.detach()

    def _loss(self, step: int) -> Tensor:
        base, draws = self.model.base, self.draws
        generator = torch.Generator(base.device).manual_seed((self.seed << 20) + step)
        latents = self.photos.draw(draws.photo[step], draws.view[step], generator)
        if self.class_images is not None:
            of_class = self.class_images.draw(draws.class_image[step], draws.class_view[step], generator)
            latents = torch.cat([latents, of_class])
        timesteps = draws.timestep[step]
        noise = torch.randn(latents.shape, generator=generator, device=base.device)
        noisy, target = add_noise(latents, noise, base.alphas_cumprod[timesteps], base.prediction_type)

        embeddings = self._embed() if self.resting_embeddings is None else self.resting_embeddings  # [1 or 2, L, d]
        embeddings = embeddings.repeat_interleave(self.recipe.batch_size, dim=0)
        prediction = base.predict(noisy, timesteps, embeddings)

        errors = F.mse_loss(prediction, target, reduction="none").mean((1, 2, 3)) * self.weights[timesteps]  # [B]
        instance, prior = errors[: self.recipe.batch_size], errors[self.recipe.batch_size :]
        return (
            instance.mean() if self.class_images is None else instance.mean() + self.recipe.prior_weight * prior.mean()
        )

    def _embed(self) -> Tensor:
        with torch.set_grad_enabled(self.text_trains):
            return self.model.base.encode_prompts(self.prompts)

    def parameters(self) -> dict[str, Tensor]:
        """Return the trained tensors as `<layer>.down` and `<layer>.up`, of the text encoder only if it trains."""
        names = [name for name in self.bank.layers if self.text_trains or not name.startswith("text_encoder.")]
        both = {f"{name}.down": self.bank.down[name] for name in names}
        return both | {f"{name}.up": self.bank.up[name] for name in names}

    def _optimizer(self) -> torch.optim.AdamW:
        text: list[Tensor] = []
        unet: list[Tensor] = []
        for name, tensor in self.parameters().items():
            (text if name.startswith("text_encoder.") else unet).append(tensor.requires_grad_())
        groups: list[dict[str, Any]] = [{"params": unet, "peak": self.recipe.learning_rate}]
        if text:
            groups.append({"params": text, "peak": self.recipe.text_learning_rate})
        return torch.optim.AdamW(groups, weight_decay=self.recipe.weight_decay, fused=True)

    def _lay_out(self) -> Draws:
        recipe, generator = self.recipe, torch.Generator().manual_seed(self.seed)
        steps, batch = recipe.steps, recipe.batch_size
        photo = balanced(len(self.photos.mean), steps * batch, generator).view(steps, batch)
        view = torch.randint(self.photos.mean.shape[1], (steps, batch), generator=generator)
        class_image = class_view = torch.zeros(steps, 0, dtype=torch.int64)
        if self.class_images is not None:
            class_image = balanced(len(self.class_images.mean), steps * batch, generator).view(steps, batch)
            class_view = torch.randint(self.class_images.mean.shape[1], (steps, batch), generator=generator)
        in_all = batch + class_image.shape[1]
        timestep = torch.randint(len(self.model.base.alphas_cumprod), (steps, in_all), generator=generator)
        device = self.model.base.device
        return Draws(*(drawn.to(device) for drawn in (photo, view, class_image, class_view, timestep)))

    def trained(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return a copy of the adapter as it should be published now: the moving average if the recipe keeps one."""
        if not self.recipe.ema:
            return self.bank.read(SLOT, self.recipe.rank)
        average = self.average
        return {
            name: (average[f"{name}.down"][SLOT].clone(), average[f"{name}.up"][SLOT].clone())
            for name in self.bank.layers
            if f"{name}.up" in average
        }

    def state(self) -> dict[str, Tensor]:
        """Return every tensor that going on needs, by name: weights, both moments, the moving average."""
        tensors = {f"weight.{name}": tensor.detach() for name, tensor in self.parameters().items()}
        for name, tensor in self.parameters().items():
            if moments := self.optimizer.state.get(tensor):
                tensors[f"first.{name}"], tensors[f"second.{name}"] = moments["exp_avg"], moments["exp_avg_sq"]
        return tensors | {f"average.{name}": tensor for name, tensor in self.average.items()}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], position: int) -> None:
        """Go on from `state()` as it was after `position` steps. Raises KeyError when a tensor is missing."""
        device = self.model.base.device
        for name, tensor in self.parameters().items():
            tensor.copy_(tensors[f"weight.{name}"])
            self.optimizer.state[tensor] = {
                "step": torch.tensor(float(position), device=device),
                "exp_avg": tensors[f"first.{name}"].to(device).clone(),
                "exp_avg_sq": tensors[f"second.{name}"].to(device).clone(),
            }
        for name, tensor in self.average.items():
            tensor.copy_(tensors[f"average.{name}"])
        self.position = position


def add_noise(latents: Tensor, noise: Tensor, alphas_cumprod: Tensor, prediction_type: str) -> tuple[Tensor, Tensor]:
    """Return the noisy latents and what the U-Net should answer: the noise, or the velocity (Salimans & Ho 2022)."""
    signal = alphas_cumprod.sqrt().view(-1, 1, 1, 1)
    spread = (1 - alphas_cumprod).sqrt().view(-1, 1, 1, 1)
    noisy = signal * latents + spread * noise
    return noisy, noise if prediction_type == "epsilon" else signal * noise - spread * latents


def loss_weights(alphas_cumprod: Tensor, prediction_type: str, gamma: float | None) -> Tensor:
    """Return the min-SNR weight of each timestep (Hang et al. 2023, section 3.4), or ones without a gamma."""
    if gamma is None:
        return torch.ones_like(alphas_cumprod)
    snr = alphas_cumprod / (1 - alphas_cumprod)
    return snr.clamp(max=gamma) / (snr if prediction_type == "epsilon" else snr + 1)


def rate_at(step: int, recipe: Recipe) -> float:
    """Return the learning rate's factor: a linear warm-up, then linear decay to zero just after the last step."""
    warm_up = min(recipe.warmup_steps, max(recipe.steps // 10, 1))
    if step < warm_up:
        return (step + 1) / warm_up
    return (recipe.steps - step) / (recipe.steps - warm_up)


def balanced(count: int, length: int, generator: torch.Generator) -> Tensor:
    """Return `length` indices below `count`, shuffled in rounds so that each appears as often as any other."""
    rounds = [torch.randperm(count, generator=generator) for _ in range(math.ceil(length / count))]
    return torch.cat(rounds)[:length]
