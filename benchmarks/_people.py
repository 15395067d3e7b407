"""What the serving benchmarks share: bases of any size, people with random adapters, and both sides' pictures.

The peer is diffusers' own pipeline on a copy of the same base. Adapters are random, small enough that pictures stay
pictures; nothing here is about what they show. Both sides start from the same noise and have the same number of steps.
"""

import copy
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from diffusers import DDIMScheduler, DiffusionPipeline, StableDiffusionPipeline, StableDiffusionXLPipeline
from torch import Tensor

from benchmarks.training import wait_for
from gpu_worker import pipe
from gpu_worker.engine.adapters import DOWN, UP, AdapterFile, AdapterHeader, file_digest, save_adapter
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import noise_of
from gpu_worker.engine.sdxl import StableDiffusionXL
from gpu_worker.engine.sizes import for_display
from gpu_worker.engine.slots import WORD_LAYERS, SlotLayer
from gpu_worker.engine.studio import Studio
from storage.contract import Adapter, ImagineRequest, Quality

PLACES = ("on the beach", "in the snow", "in a forest", "on the moon")
NEGATIVE = "blurry"

Weights = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Person:
    """Somebody with a model of their own, who wants one picture."""

    weights: Weights
    path: Path
    digest: str
    prompt: str
    seed: int

    def state(self) -> dict[str, Tensor]:
        """Return the adapter as diffusers loads it."""
        state = {}
        for name, (down, up) in self.weights.items():
            state[name + DOWN] = down
            state[name + UP] = up.reshape(*up.shape, *[1] * (down.dim() - 2))
        return state


@dataclass(frozen=True)
class Drawing:
    """How everybody's pictures are drawn."""

    steps: int
    guidance_scale: float
    size: int
    quality: Quality | None = None


def people_of(model: Resident, count: int, rank: int, folder: Path) -> list[Person]:
    """Publish an adapter for each of so many people."""
    return [_person(model, number, rank, folder) for number in range(count)]


def _person(model: Resident, number: int, rank: int, folder: Path) -> Person:
    generator = torch.Generator().manual_seed(number)

    def random(layer: SlotLayer) -> tuple[Tensor, Tensor]:
        down = torch.randn(rank, *layer.in_shape, generator=generator) / prod(layer.in_shape) ** 0.5
        return down.half().float(), (torch.randn(layer.out_features, rank, generator=generator) * 0.05).half().float()

    weights = {name: random(layer) for name, layer in model.slots.layers.items() if name not in WORD_LAYERS}
    path = folder / f"{number}.safetensors"
    header = AdapterHeader(base_digest=model.base.digest, identifier="sks", class_noun="dog", rank=rank, steps=1)
    save_adapter(path, AdapterFile(header, weights))
    return Person(weights, path, file_digest(path), f"a photo of sks dog {PLACES[number % 4]}", 100 + number)


class Ours:
    """The engine's own way: everybody's order goes to the studio, which draws them together."""

    def __init__(self, model: Resident, folder: Path) -> None:
        self.model, self.folder = model, folder

    def draw(self, people: Sequence[Person], how: Drawing) -> tuple[list[Path], list[float]]:
        """Draw one picture for each; returns the files, and after how many seconds each was there."""
        began, ended, files = time.perf_counter(), dict[str, float](), dict[str, Path]()

        def hear(report: pipe.Report) -> None:
            if isinstance(report, pipe.ImaginingDone):
                ended[report.job] = time.perf_counter() - began
                files[report.job] = report.pictures[0].path

        studio = Studio(self.model, hear, _raise)
        orders = [self.order(person, how) for person in people]
        for order in orders:
            studio.take(order)
        while studio.busy:
            if batch := studio.choose():
                studio.draw(batch)
            studio.hand_over(patient=not batch)
        studio.encoders.shutdown()
        return [files[o.request.job] for o in orders], [ended[o.request.job] for o in orders]

    def order(self, person: Person, how: Drawing) -> pipe.Imagine:
        job = uuid.uuid4().hex
        (self.folder / job).mkdir()
        request = ImagineRequest(
            job=job,
            attempt=1,
            base="local",
            prompt=person.prompt,
            negative_prompt=NEGATIVE,
            adapter=Adapter(model=job, key="models/local", digest=person.digest),
            seed=person.seed,
            steps=how.steps,
            guidance_scale=how.guidance_scale,
            quality=how.quality,
            lossless=True,  # as the other sides save theirs
        )
        return pipe.Imagine(request=request, adapter=person.path, folder=self.folder / job)


class Peer:
    """Diffusers' own pipeline, on a copy of the base without slots."""

    def __init__(self, base: BaseModel, folder: Path) -> None:
        self.base, self.folder = base, folder
        self.pipeline = pipeline_of(base)
        self.pipeline.set_progress_bar_config(disable=True)

    def load(self, person: Person) -> None:
        """Change to a person by loading their adapter in place of the one before."""
        self.pipeline.unload_lora_weights()
        self.pipeline.load_lora_weights(person.state())

    def load_all(self, people: Sequence[Person]) -> None:
        self.pipeline.unload_lora_weights()
        for number, person in enumerate(people):
            self.pipeline.load_lora_weights(person.state(), adapter_name=f"p{number}")

    def picture(self, people: Sequence[Person], how: Drawing) -> list[Path]:
        """Draw the people's pictures in one call, with whatever adapters are in force, and save them as ours are."""
        noise = torch.cat([noise_of(self.base, person.seed, how.size, how.size) for person in people])
        with self.base.autocast():
            images = self.pipeline(
                [person.prompt for person in people],
                negative_prompt=[NEGATIVE] * len(people),
                latents=noise.to(self.base.device, self.pipeline.unet.dtype),
                num_inference_steps=how.steps,
                guidance_scale=how.guidance_scale,
                height=how.size,
                width=how.size,
            ).images
        paths = [self.folder / f"{uuid.uuid4().hex}.png" for _ in images]
        for path, image in zip(paths, images, strict=True):
            for_display(image).save(path)
        return paths


def pipeline_of(base: BaseModel) -> DiffusionPipeline:
    """Return diffusers' pipeline for a base, with networks of its own but for the autoencoder."""
    scheduler = DDIMScheduler.from_config(base.scheduler_config, timestep_spacing="trailing", clip_sample=False)
    encoders = {name: copy.deepcopy(encoder) for name, (encoder, _) in base.text_encoders.items()}
    parts = {"vae": base.vae, "unet": copy.deepcopy(base.unet), "tokenizer": base.tokenizer, "scheduler": scheduler}
    if isinstance(base, StableDiffusionXL):
        return StableDiffusionXLPipeline(
            **parts,
            **encoders,
            tokenizer_2=base.tokenizer_2,
            force_zeros_for_empty_prompt=base.zeros_for_empty,
            add_watermarker=False,
        )
    return StableDiffusionPipeline(
        **parts, **encoders, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )


def _raise(_job: str, problem: Exception) -> None:
    raise problem


def seconds_of(work: Callable[[], object], base: BaseModel) -> float:
    """Time some work; on a GPU, until it is really done."""
    wait_for(base.device)
    began = time.perf_counter()
    work()
    wait_for(base.device)
    return time.perf_counter() - began
