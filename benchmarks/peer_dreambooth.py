"""The other side of `training` and `fidelity`: a training as the DreamBooth LoRA example of diffusers does it.

Ours to read, theirs in what it does (examples/dreambooth/train_dreambooth_lora.py of huggingface/diffusers, main of
August 2026): photos opened and cut anew for every batch by a DataLoader, VAE and text encoder within the loop, PEFT
layers with gaussian starts, Accelerate around network, optimiser and loader, AdamW at a constant rate, the loss read
back and shown after each step, prior preservation by halves of the batch. What it does beside the steps is left out:
its checkpoints, its validation pictures and the pipeline that it loads anew at the end.

For Stable Diffusion XL the example is train_dreambooth_lora_sdxl.py: the same, but that the VAE stays fp32 and that the
prompts are read once. What it tells the U-Net of sizes is what ours tells it: every photo is as large as the base.
"""

import copy
import io
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from diffusers import DDPMScheduler, ModelMixin
from peft import LoraConfig, get_peft_model_state_dict
from PIL import Image
from PIL.ImageOps import exif_transpose
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm
from transformers import PreTrainedModel

from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.sdxl import StableDiffusionXL

UNET_LAYERS = ("to_k", "to_q", "to_v", "to_out.0", "add_k_proj", "add_v_proj")
TEXT_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj")

Example = dict[str, Tensor]
Rate = Callable[[int], float]
"""The share of the learning rate at a step."""


def constant(step: int) -> float:  # noqa: ARG001 - a Rate
    """Return the example's own schedule."""
    return 1.0


@dataclass(frozen=True, kw_only=True)
class PeerRecipe:
    """The example's options, with its own defaults where they fit every base."""

    learning_rate: float
    steps: int
    train_text_encoder: bool = False
    rank: int = 4
    batch_size: int = 4
    prior_weight: float = 1.0
    weight_decay: float = 1e-2
    gradient_clip: float = 1.0
    layers: tuple[str, ...] = UNET_LAYERS


@dataclass(frozen=True)
class Chance:
    """What a step draws at random, given from outside when two loops are to be compared."""

    posterior: Tensor
    """[B, c, h, w]: standard normal, as is `noise`."""
    noise: Tensor
    timesteps: Tensor
    """[B]."""


class Pictures(Dataset[Example]):
    """Photos, each with a class image when there is a prior, opened and cut whenever they are asked for."""

    def __init__(
        self, base: BaseModel, photos: Sequence[Path], class_images: Sequence[Path], prompt: str, class_prompt: str
    ) -> None:
        self.base, self.photos, self.class_images = base, photos, class_images
        self.prompt, self.class_prompt = prompt, class_prompt

    def __len__(self) -> int:
        return max(len(self.photos), len(self.class_images))

    def __getitem__(self, index: int) -> Example:
        example = {"photo": self._open(self.photos[index % len(self.photos)]), "photo_ids": self._ids(self.prompt)}
        if self.class_images:
            example["class"] = self._open(self.class_images[index % len(self.class_images)])
            example["class_ids"] = self._ids(self.class_prompt)
        return example

    def _open(self, path: Path) -> Tensor:
        """Return a random square of the picture, whose shorter side is made to fit, as [3, S, S] in -1..1."""
        with Image.open(path) as opened:
            picture = exif_transpose(opened).convert("RGB")
        side = self.base.resolution
        scale = side / min(picture.size)
        width, height = (max(side, round(length * scale)) for length in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
        left, top = random.randint(0, width - side), random.randint(0, height - side)
        pixels = np.asarray(picture.crop((left, top, left + side, top + side)), dtype=np.float32)
        return torch.from_numpy(pixels).permute(2, 0, 1) / 127.5 - 1

    def _ids(self, prompt: str) -> Tensor:
        ids: Tensor = self.base.tokenizer(
            prompt,
            truncation=True,
            padding="max_length",
            max_length=self.base.tokenizer.model_max_length,
            return_tensors="pt",
        ).input_ids
        return ids


def collate(examples: Sequence[Example]) -> Example:
    """Put the photos of a batch first and their class images after them, so that one forward pass serves both."""
    kinds = ("photo", "class") if "class" in examples[0] else ("photo",)
    return {
        "pixels": torch.stack([example[kind] for kind in kinds for example in examples]).contiguous().float(),
        "ids": torch.cat([example[f"{kind}_ids"] for kind in kinds for example in examples]),
    }


class Peer:
    """One training on a copy of a base whose layers hold no slots."""

    def __init__(
        self, base: BaseModel, recipe: PeerRecipe, pictures: Pictures, *, seed: int, rate: Rate = constant
    ) -> None:
        self.base, self.recipe = base, recipe
        self.prior = bool(pictures.class_images)
        on_cpu, precision = base.device.type == "cpu", base.accelerator.mixed_precision
        self.accelerator = Accelerator(cpu=on_cpu, mixed_precision=precision)
        self.dtype = torch.bfloat16 if self.accelerator.mixed_precision == "bf16" else torch.float32
        torch.manual_seed(seed)
        random.seed(seed)
        self.vae, self.text_encoder, unet = (
            copy.deepcopy(network).requires_grad_(False).to(self.accelerator.device, dtype=self.dtype)
            for network in (base.vae, base.text_encoder, base.unet)
        )
        self.said: Tensor | None = None
        """For Stable Diffusion XL what the prompts say, read once: train_dreambooth_lora_sdxl.py has it so."""
        if isinstance(base, StableDiffusionXL):
            if recipe.train_text_encoder:
                raise ValueError("the two text encoders of Stable Diffusion XL are not trained here")
            self.vae.to(torch.float32)  # as that example keeps it
            with torch.no_grad():
                self.said = base.encode_prompts([pictures.prompt, pictures.class_prompt][: 1 + self.prior])
        self.scheduler = DDPMScheduler.from_config(base.scheduler_config)
        trained = [adapt(unet, recipe.rank, recipe.layers)]
        if recipe.train_text_encoder:
            trained.append(adapt(self.text_encoder, recipe.rank, TEXT_LAYERS))
        self.parameters = [parameter for network in trained for parameter in network if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            self.parameters, lr=recipe.learning_rate, betas=(0.9, 0.999), weight_decay=recipe.weight_decay, eps=1e-8
        )
        rates = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        loader = DataLoader(pictures, batch_size=recipe.batch_size, shuffle=True, collate_fn=collate, num_workers=0)
        self.unet, self.optimizer, self.loader, self.rates = self.accelerator.prepare(unet, optimizer, loader, rates)
        if recipe.train_text_encoder:
            self.text_encoder = self.accelerator.prepare(self.text_encoder)
            self.text_encoder.train()
        self.unet.train()
        self.bar = tqdm(total=recipe.steps, desc="Steps", file=io.StringIO())
        self.done = 0

    def steps(self) -> Iterator[float]:
        """Do the recipe's steps, an epoch of the loader after another, and yield the loss of each."""
        while self.done < self.recipe.steps:
            for batch in self.loader:
                yield self.step(batch)
                if self.done == self.recipe.steps:
                    return

    def step(self, batch: Example, chance: Chance | None = None) -> float:
        with self.accelerator.accumulate(self.unet):
            loss = self.loss(batch, chance)
            self.accelerator.backward(loss)
            self.accelerator.clip_grad_norm_(self.parameters, self.recipe.gradient_clip)
            self.optimizer.step()
            self.rates.step()
            self.optimizer.zero_grad()
        self.done += 1
        self.bar.update(1)
        logs = {"loss": loss.detach().item(), "lr": self.rates.get_last_lr()[0]}
        self.bar.set_postfix(**logs)
        self.accelerator.log(logs, step=self.done)
        return logs["loss"]

    def loss(self, batch: Example, chance: Chance | None = None) -> Tensor:
        latents = self.encode(batch["pixels"], chance)
        if chance is None:
            noise = torch.randn_like(latents)
            count = self.scheduler.config.num_train_timesteps
            timesteps = torch.randint(0, count, (len(latents),), device=latents.device).long()
        else:
            noise, timesteps = chance.noise.to(latents.dtype), chance.timesteps
        noisy = self.scheduler.add_noise(latents, noise, timesteps)
        prediction = self.unet(**self.base.unet_inputs(noisy, timesteps, self.read(batch)))[0]
        v_prediction = self.scheduler.config.prediction_type == "v_prediction"
        target = self.scheduler.get_velocity(latents, noise, timesteps) if v_prediction else noise
        if not self.prior:
            return F.mse_loss(prediction.float(), target.float())
        (prediction, of_class), (target, class_target) = prediction.chunk(2), target.chunk(2)
        loss = F.mse_loss(prediction.float(), target.float())
        return loss + self.recipe.prior_weight * F.mse_loss(of_class.float(), class_target.float())

    def encode(self, pixels: Tensor, chance: Chance | None = None) -> Tensor:
        """Return latents [B, c, h, w] sampled from what the VAE makes of pixels [B, 3, H, W]."""
        posterior = self.vae.encode(pixels.to(self.accelerator.device, self.vae.dtype)).latent_dist
        sample = posterior.sample() if chance is None else posterior.mean + posterior.std * chance.posterior
        return (sample * self.vae.config.scaling_factor).to(self.dtype)

    def read(self, batch: Example) -> Tensor:
        """Return the text embeddings [B, L, d] of a batch's prompts."""
        ids = batch["ids"].to(self.accelerator.device)
        if self.said is not None:
            return self.said.repeat_interleave(len(ids) // len(self.said), dim=0)
        embeddings: Tensor = self.text_encoder(ids, attention_mask=None, return_dict=False)[0]
        return embeddings

    @torch.no_grad()
    def weights(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return a copy of what was trained by layer name, in the shapes that a bank of slots takes."""
        networks = {"unet": self.unet} | ({"text_encoder": self.text_encoder} if self.recipe.train_text_encoder else {})
        found: dict[str, tuple[Tensor, Tensor]] = {}
        for prefix, network in networks.items():
            state = get_peft_model_state_dict(self.accelerator.unwrap_model(network))
            for key, down in state.items():
                if (name := key.removesuffix(".lora_A.weight")) != key:
                    up = state[f"{name}.lora_B.weight"].flatten(1)
                    found[f"{prefix}.{name}"] = (down.float().clone(), up.float().clone())
        return found

    @torch.no_grad()
    def load(self, weights: dict[str, tuple[Tensor, Tensor]]) -> None:
        """Start from the given adapter of the U-Net in place of the gaussian one."""
        parameters = dict(self.accelerator.unwrap_model(self.unet).named_parameters())
        for name, (down, up) in weights.items():
            layer = name.removeprefix("unet.")
            for side, tensor in (("A", down), ("B", up)):
                target = parameters[f"{layer}.lora_{side}.default.weight"]
                target.copy_(tensor.reshape(target.shape))


def adapt(network: ModelMixin | PreTrainedModel, rank: int, layers: Sequence[str]) -> Iterator[nn.Parameter]:
    """Put low-rank layers into a network of diffusers or transformers and return its parameters."""
    config = LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=list(layers))
    network.add_adapter(config)
    parameters: Callable[[], Iterator[nn.Parameter]] = network.parameters
    return parameters()
