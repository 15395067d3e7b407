"""The DreamBooth step (Ruiz et al. 2022, arXiv 2208.12242) on one slot of the base.

Each step noises a few views of the photos and as many class images, and asks the U-Net for the noise (or the velocity)
under "a photo of sks dog" and "a photo of a dog". The second half is prior preservation: it keeps other dogs other
dogs and, where the class images are of dogs in many places, the words for places what they were. Images were encoded
beforehand as latent mean and standard deviation, drawn anew at each step; nothing is read from disk and nothing is sent
back from the device within a step. All chance comes from (seed, step), so that a training that was interrupted goes on
to the very same result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gpu_worker.engine.examples import Draws, Examples, lay_out, turns
from gpu_worker.engine.noise import add_noise, loss_weights, spread
from gpu_worker.engine.recipes import Recipe
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.slots import WORD_LAYERS

HELD_OUT_LEVELS = 4
"""Noise levels at which each held-out view is looked at."""


class Diverged(Exception):
    """The loss, or a weight, is no longer a finite number."""


@dataclass(frozen=True)
class Plan:
    """How a step goes through the networks. Plans differ in memory and time; the result is the same within rounding."""

    passes: int = 1
    """Parts that the batch is cut into; their gradients add up to the whole batch's."""
    recompute: bool = False
    """Gradient checkpointing."""


FULL, SMALL = Plan(), Plan(passes=2, recompute=True)


class DreamBooth:
    """The training of one subject; there are no class images without a prior.

    Photos and class images come by size. A step looks at photos of one size, and every photo is looked at as often as
    any other. The class images beside them have the same size if there are such; if not, they are those of the first
    size, and go through the U-Net by themselves.

    With the recipe's `teacher` the class images may show anything, the subject too: what counts is what the base sees
    in them. They have the photos' sizes then.
    """

    def __init__(
        self,
        model: Resident,
        recipe: Recipe,
        photos: Sequence[Examples],
        class_images: Sequence[Examples],
        *,
        identifier: str,
        seed: int,
    ) -> None:
        self.model, self.recipe, self.seed = model, recipe, seed
        self.word = model.base.word_of(identifier)
        split = [of_size.without_last_view() for of_size in photos]
        self.photos, self.held_out = [rest for rest, _ in split], [last for _, last in split]
        self.class_images = class_images
        self.plan = FULL
        self.rate = 1.0
        """What the recipe's learning rates are multiplied with."""
        self.draws = self._lay_out()
        self.resting = self._embed_what_rests()
        """The embeddings [L, d] of the prompts that no training changes, computed once."""
        self.taught = self._embed_taught()
        """The base's own embeddings [L, d] of the class rows' prompts, for the teacher."""
        self.weights = loss_weights(model.base.alphas_cumprod, model.base.prediction_type, recipe)
        self.bank, self.slot = model.training_slot(recipe.rank)  # last, for what fails before would keep the slot
        self.parameters = self.bank.learn(self.slot, self._trained_names())
        """The trained tensors as `<layer>.down` and `<layer>.up`; of the word, what is added to its vector."""
        self.optimizer = self._optimizer()
        self.average: dict[str, Tensor] = {}
        self.position = 0
        """Steps done."""
        self.begin()

    def begin(self) -> None:
        """Go to the start: nothing is learned yet."""
        self._wipe()
        self.bank.start(self.slot, self.recipe.rank, torch.Generator().manual_seed(self.seed), self.word)
        if self.recipe.ema:
            self.average = {name: tensor.detach().clone() for name, tensor in self.parameters.items()}
        self.position = 0

    def close(self) -> None:
        """Leave the slot to another training."""
        self.bank.learning.pop(self.slot, None)

    def step(self) -> Tensor:
        """Do one optimiser step and return its loss, still on the device."""
        (loss,) = gradients([self])
        self.descend()
        return loss

    def descend(self) -> None:
        """End a step: go down the gradient that `gradients` has left."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * self.rate * rate_at(self.position, self.recipe)
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), self.recipe.gradient_clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.recipe.ema:
            torch._foreach_lerp_(list(self.average.values()), list(self.parameters.values()), 1 - self.recipe.ema)
        self.position += 1

    def rows(self) -> list["Rows"]:
        """Return what the next step looks at: instance rows, then class rows, all in one where they have one size.

        The loss is the instance rows' mean and, times its weight, the class rows' mean.
        """
        step, recipe = self.position, self.recipe
        parts = self._noised(step)
        rows = [len(noisy) for noisy, _ in parts]
        timesteps = self.draws.timestep[step]
        shares = self.weights[timesteps] / recipe.batch_size
        shares[recipe.batch_size :] *= recipe.prior_weight
        counts = list(shares.view(-1, 1, 1, 1).split(rows))
        counts[0] = counts[0] * self._emphasis(step, rows[0])
        beside = zip(timesteps.split(rows), counts, self.draws.prompt[step].split(rows), strict=True)
        return [Rows(*part, *rest) for part, rest in zip(parts, beside, strict=True)]

    def _emphasis(self, step: int, rows: int) -> Tensor:
        """Return how much each place of the step's first rows counts, [rows, 1, h, w] or ones that spread to it."""
        draws, emphasis = self.draws, self.photos[self.draws.bucket[step]].latents.emphasis
        if emphasis is None:
            return torch.ones(rows, 1, 1, 1, device=self.model.base.device)
        of_photos = emphasis[draws.photo[step], draws.view[step]]
        return torch.cat([of_photos, torch.ones_like(of_photos[:1]).expand(rows - len(of_photos), -1, -1, -1)])

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of the latents that the next step shows the U-Net, each in a pass of its own."""
        batch, bucket = self.recipe.batch_size, self.draws.bucket[self.position]
        size = self.photos[bucket].size
        if not self.class_images:
            return [(batch, *size)]
        of_class = self.class_images[self._beside(bucket)].size
        return [(2 * batch, *size)] if of_class == size else [(batch, *size), (batch, *of_class)]

    def _beside(self, bucket: int) -> int:
        """Return which of the class images' sizes stands beside photos of a size."""
        sizes = [of_size.size for of_size in self.class_images]
        return sizes.index(self.photos[bucket].size) if self.photos[bucket].size in sizes else 0

    @torch.no_grad()
    def held_out_loss(self) -> float:
        """Return the error on the views that are held out, always the same ones under the same noise."""
        generator = torch.Generator().manual_seed(self.seed)
        with self.model.slots.use(self.bank, [self.slot]):
            errors = [
                self._held_out_errors(held_out.mean[:, 0], [of_image[0] for of_image in of_size.prompts], generator)
                for held_out, of_size in zip(self.held_out, self.photos, strict=True)
            ]
        return float(torch.cat(errors).mean())

    def _held_out_errors(self, views: Tensor, prompts: Sequence[str], generator: torch.Generator) -> Tensor:
        """Return the weighted errors on views [N, c, h, w] at every level, [N * levels]."""
        base, count = self.model.base, len(views)
        clean = views.repeat_interleave(HELD_OUT_LEVELS, dim=0)
        levels = torch.linspace(0.05, 0.95, HELD_OUT_LEVELS) * len(base.alphas_cumprod)
        timesteps = levels.long().repeat(count).to(base.device)
        noise = torch.randn(clean.shape, generator=generator).to(base.device)
        noisy, target = add_noise(clean, noise, base.alphas_cumprod[timesteps], base.prediction_type)
        rows = (noisy, timesteps, base.encode_prompts(prompts).repeat_interleave(HELD_OUT_LEVELS, dim=0))
        fitting = max(self.recipe.batch_size // self.plan.passes, 1)  # no more memory than a step takes
        answers = [base.predict(*part) for part in zip(*(tensor.split(fitting) for tensor in rows), strict=True)]
        error = F.mse_loss(torch.cat(answers), target, reduction="none").mean((1, 2, 3))
        return error * self.weights[timesteps]

    def _noised(self, step: int) -> list[tuple[Tensor, Tensor]]:
        """Return the step's noisy latents [B or 2 B, c, h, w] and what the U-Net should answer, by size."""
        base, draws, bucket = self.model.base, self.draws, self.draws.bucket[step]
        generator = torch.Generator(base.device).manual_seed((self.seed << 20) + step)
        clean = [self.photos[bucket].latents.draw(draws.photo[step], draws.view[step], generator)]
        if self.class_images:
            of_class = self.class_images[self._beside(bucket)].latents
            clean.append(of_class.draw(draws.class_image[step], draws.class_view[step], generator))
            if clean[0].shape == clean[1].shape:
                clean = [torch.cat(clean)]
        parts = []
        for latents, timesteps in zip(clean, draws.timestep[step].split([len(rows) for rows in clean]), strict=True):
            noise = torch.randn(latents.shape, generator=generator, device=base.device)
            parts.append(add_noise(latents, noise, base.alphas_cumprod[timesteps], base.prediction_type))
        if self.taught:
            ((noisy, target),), batch = parts, self.recipe.batch_size  # the class rows are of the photos' sizes
            parts = [(noisy, torch.cat([target[:batch], self._teach(step, noisy[batch:])]))]
        return parts

    @torch.no_grad()
    def _teach(self, step: int, noisy: Tensor) -> Tensor:
        """Return what the plain base answers for the class rows, [B, c, h, w]."""
        draws, rows = self.draws, slice(self.recipe.batch_size, None)
        prompts = torch.stack([self.taught.get(prompt, self.taught[""]) for prompt in draws.said[step]])
        with self.model.slots.use(self.bank, [0]):
            return self.model.base.predict(noisy, draws.timestep[step, rows], prompts[draws.prompt[step, rows]])

    def live(self) -> list[str]:
        """Return the prompts of the next step whose embeddings change with the training."""
        return [prompt for prompt in self.draws.said[self.position] if prompt not in self.resting]

    def embeddings(self, fresh: Mapping[str, Tensor]) -> Tensor:
        """Return the embeddings [prompts, L, d] of all prompts of the next step, given the live ones'."""
        said = self.draws.said[self.position]
        return torch.stack([fresh[prompt] if prompt in fresh else self.resting[prompt] for prompt in said])

    @torch.no_grad()
    def _embed_what_rests(self) -> dict[str, Tensor]:
        prompts = sorted({prompt for said in self.draws.said for prompt in said})
        if self.recipe.text_learning_rate > 0:
            prompts = []
        elif self.recipe.word_learning_rate > 0:
            touched = (self.model.base.tokenize(prompts) == self.word).any(1).tolist()
            prompts = [prompt for prompt, changes in zip(prompts, touched, strict=True) if not changes]
        return dict(zip(prompts, self.model.base.encode_prompts(prompts), strict=True)) if prompts else {}

    @torch.no_grad()
    def _embed_taught(self) -> dict[str, Tensor]:
        if not self.recipe.teacher or not self.class_images:
            return {}
        said = {prompt for of_size in self.class_images for of_image in of_size.prompts for prompt in of_image}
        prompts = ["", *sorted(said)]
        return dict(zip(prompts, self.model.base.encode_prompts(prompts), strict=True))

    def _trained_names(self) -> set[str]:
        names = [name for name in self.bank.layers if self._rate_of(name) > 0]
        return {f"{name}.down" for name in names if name not in WORD_LAYERS} | {f"{name}.up" for name in names}

    def _rate_of(self, name: str) -> float:
        """Return the learning rate at the peak of the layer, or of the parameter, called `name`."""
        if name.startswith(WORD_LAYERS):
            return self.recipe.word_learning_rate
        return self.recipe.learning_rate if name.startswith("unet.") else self.recipe.text_learning_rate

    def _optimizer(self) -> torch.optim.AdamW:
        of_rate: dict[float, list[Tensor]] = {}
        for name, tensor in self.parameters.items():
            of_rate.setdefault(self._rate_of(name), []).append(tensor)
        groups: list[dict[str, Any]] = [{"params": tensors, "peak": rate} for rate, tensors in of_rate.items()]
        return torch.optim.AdamW(groups, weight_decay=self.recipe.weight_decay, fused=True)

    def _lay_out(self) -> Draws:
        steps, batch, device = self.recipe.steps, self.recipe.batch_size, self.model.base.device
        generator = torch.Generator().manual_seed(self.seed)
        bucket = turns([len(of_size.prompts) for of_size in self.photos], steps, generator)
        photo, view, said = lay_out(self.photos, bucket, batch, generator, self.recipe.caption_dropout)
        class_image = class_view = torch.zeros(steps, 0, dtype=torch.int64)
        if self.class_images:
            beside = [self._beside(at) for at in bucket]
            class_image, class_view, of_class = lay_out(self.class_images, beside, batch, generator)
            said = [first + second for first, second in zip(said, of_class, strict=True)]
        timesteps, halves = len(self.model.base.alphas_cumprod), 2 if self.class_images else 1
        timestep = torch.cat([spread(timesteps, steps, batch, generator) for _ in range(halves)], dim=1)
        different = [list(dict.fromkeys(row)) for row in said]
        prompt = torch.tensor([[texts.index(text) for text in row] for texts, row in zip(different, said, strict=True)])
        return Draws(
            bucket,
            photo.to(device),
            view.to(device),
            class_image.to(device),
            class_view.to(device),
            timestep.to(device),
            prompt.to(device),
            different,
        )

    def trained(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return a copy of the adapter as it should be published now: the moving average if the recipe keeps one."""
        if not self.recipe.ema:
            return self.bank.read(self.slot, self.recipe.rank)
        rows = {name: self.bank.learning[self.slot][name] for name in self.bank.layers if self._rate_of(name) > 0}
        return {
            name: (self.average.get(f"{name}.down", down).detach().clone(), self.average[f"{name}.up"].clone())
            for name, (down, _) in rows.items()
        }

    def is_finite(self) -> bool:
        """Tell whether every weight is a number; waits for the device once."""
        return bool(torch.stack([tensor.detach().sum() for tensor in self.parameters.values()]).isfinite().all())

    def state(self) -> dict[str, Tensor]:
        """Return what going on needs, of our slot alone: weights, both moments, the moving average.

        Nothing else is needed: all chance, and what each step looks at, follow from (seed, step).
        """
        tensors = {f"weight.{name}": tensor.detach() for name, tensor in self.parameters.items()}
        for name, tensor in self.parameters.items():
            if moments := self.optimizer.state.get(tensor):
                tensors[f"first.{name}"] = moments["exp_avg"]
                tensors[f"second.{name}"] = moments["exp_avg_sq"]
        return tensors | {f"average.{name}": tensor for name, tensor in self.average.items()}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], position: int) -> None:
        """Go on from `state()` as it was after `position` steps, of which there is at least one.

        Raises KeyError when a tensor is missing and RuntimeError when one has another shape; `begin` again then.
        """
        self._wipe()
        for name, tensor in self.parameters.items():
            tensor.copy_(tensors[f"weight.{name}"])
            moments = {kind: torch.empty_like(tensor).copy_(tensors[f"{kind}.{name}"]) for kind in ("first", "second")}
            steps = torch.tensor(float(position), device=tensor.device)
            self.optimizer.state[tensor] = {
                "step": steps,
                "exp_avg": moments["first"],
                "exp_avg_sq": moments["second"],
            }
        for name, tensor in self.average.items():
            tensor.copy_(tensors[f"average.{name}"])
        self.position = position

    @torch.no_grad()
    def _wipe(self) -> None:
        """Clear what steps have changed."""
        for tensor in [*self.parameters.values(), *self.average.values()]:
            tensor.zero_()
        self.optimizer.state.clear()
        self.optimizer.zero_grad(set_to_none=True)


@dataclass(frozen=True)
class Rows:
    """What one training shows the U-Net in a pass of a step, B or 2 B rows of one size."""

    noisy: Tensor
    target: Tensor
    """[rows, c, h, w], as `noisy`."""
    timesteps: Tensor
    shares: Tensor
    """[rows, 1, h, w] or [rows, 1, 1, 1]: how much each place counts in the loss."""
    prompts: Tensor
    """Each row's place among the step's prompts."""

    def chunk(self, parts: int) -> list["Rows"]:
        tensors = (self.noisy, self.target, self.timesteps, self.shares, self.prompts)
        return [Rows(*part) for part in zip(*(tensor.chunk(parts) for tensor in tensors), strict=True)]


def alike(one: DreamBooth, other: DreamBooth) -> bool:
    """Tell whether two trainings can take their next steps together: they share a bank, and their rows are alike."""
    return one.bank is other.bank and one.shapes() == other.shapes() and one.plan == other.plan


def gradients(trainings: Sequence[DreamBooth]) -> list[Tensor]:
    """Do the forward and backward pass of the next step of each of some trainings that are `alike`, all at once.

    Each ends its step by itself (`descend`), with its own learning rate, clipping, moments and step count, and may
    stand anywhere in its own course: it learns what it would learn alone, within rounding. Returns the losses, still on
    the device. Raises ValueError when they are not alike; whatever is raised leaves no gradients.
    """
    first = trainings[0]
    if not all(alike(first, other) for other in trainings[1:]):
        raise ValueError("these trainings share no bank, or have other rows: they cannot take a step together")
    base, slots = first.model.base, [training.slot for training in trainings]
    rows, passes = [training.rows() for training in trainings], first.plan.passes
    total = [torch.zeros((), device=base.device) for _ in trainings]
    try:
        with first.model.slots.use(first.bank, slots), base.recomputing(first.plan.recompute):
            for parts in zip(
                *([part for of_size in each for part in of_size.chunk(passes)] for each in rows), strict=True
            ):
                losses = losses_of(trainings, parts)
                torch.autograd.backward(losses)
                for place, loss in enumerate(losses):
                    total[place] += loss.detach()
    except BaseException:
        for training in trainings:
            training.optimizer.zero_grad(set_to_none=True)
        raise
    return total


def losses_of(trainings: Sequence[DreamBooth], parts: Sequence[Rows]) -> list[Tensor]:
    """Return the loss of each training over its part of the step's rows."""
    embeddings = [each[part.prompts] for each, part in zip(embed_together(trainings), parts, strict=True)]
    noisy, timesteps = torch.cat([part.noisy for part in parts]), torch.cat([part.timesteps for part in parts])
    predictions = trainings[0].model.base.predict(noisy, timesteps, torch.cat(embeddings)).chunk(len(parts))
    errors = [
        F.mse_loss(prediction, part.target, reduction="none") * part.shares
        for prediction, part in zip(predictions, parts, strict=True)
    ]
    return [error.mean((1, 2, 3)).sum() for error in errors]


def embed_together(trainings: Sequence[DreamBooth]) -> list[Tensor]:
    """Return the embeddings [prompts, L, d] of each training's step, the live ones with gradients."""
    live = [training.live() for training in trainings]
    most = max(len(prompts) for prompts in live)
    if not most:
        return [training.embeddings({}) for training in trainings]
    filled = [prompts + [""] * (most - len(prompts)) for prompts in live]  # so that every slot has as many rows
    encoded = trainings[0].model.base.encode_prompts([prompt for prompts in filled for prompt in prompts])
    return [
        training.embeddings(dict(zip(prompts, of_one, strict=False)))
        for training, prompts, of_one in zip(trainings, live, encoded.chunk(len(trainings)), strict=True)
    ]


def rate_at(step: int, recipe: Recipe) -> float:
    """Return the learning rate's factor: a linear warm-up, then linear decay to zero just after the last step."""
    warm_up = min(recipe.warmup_steps, max(recipe.steps // 10, 1))
    if step < warm_up:
        return (step + 1) / warm_up
    return (recipe.steps - step) / (recipe.steps - warm_up)
