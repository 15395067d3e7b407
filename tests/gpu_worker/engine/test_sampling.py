from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, Sampler, draw, drawing_size, for_display, starting_noise
from tests.gpu_worker.engine.test_slots import random_weights

T = TypeVar("T")
SAMPLER = Sampler(steps=4, guidance_scale=3.0)


def finish(work: Generator[object, None, T]) -> T:
    """Run work to its end and return what it returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_pictures_equal_those_of_diffusers(model: Resident, base_folder: Path, guidance_scale: float) -> None:
    base = model.base
    orders = [PictureOrder(prompt="a dog on the moon", negative_prompt="a cat", seed=seed) for seed in (3, 4)]
    ours = finish(draw(model, orders, Sampler(steps=4, guidance_scale=guidance_scale)))
    pipeline = StableDiffusionPipeline.from_pretrained(base_folder, safety_checker=None, requires_safety_checker=False)
    pipeline.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, timestep_spacing="trailing")
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        ["a dog on the moon"] * 2,
        negative_prompt=["a cat"] * 2,
        latents=torch.stack([starting_noise(base, seed, 32, 32) for seed in (3, 4)]),
        num_inference_steps=4,
        guidance_scale=guidance_scale,
        output_type="pt",
    ).images
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_two_people_in_one_batch_get_the_pictures_that_they_get_alone(model: Resident) -> None:
    for slot in (1, 2):
        model.serving.load(slot, random_weights(model.serving, 4, seed=slot))
    orders = [
        PictureOrder(prompt="a photo of sks dog", seed=7, slot=1),
        PictureOrder(prompt="sks cat on the moon", seed=7, slot=2, strength=0.7),
        PictureOrder(prompt="a fox", seed=9),
    ]
    together = finish(draw(model, orders, SAMPLER))
    alone = torch.cat([finish(draw(model, [order], SAMPLER)) for order in orders])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    plain = finish(draw(model, [PictureOrder(prompt="a photo of sks dog", seed=7)], SAMPLER))
    assert not torch.allclose(together[:1], plain, atol=1e-2)  # the slots do something


def test_a_seed_is_a_picture(model: Resident) -> None:
    def one(seed: int) -> torch.Tensor:
        return finish(draw(model, [PictureOrder(prompt="a dog", seed=seed)], SAMPLER))

    assert torch.equal(one(1), one(1))
    assert not torch.equal(one(1), one(2))


def test_it_pauses_after_every_step(model: Resident) -> None:
    work = draw(model, [PictureOrder(prompt="a dog", seed=1)], SAMPLER)
    assert sum(1 for _ in work) == SAMPLER.steps


@pytest.mark.parametrize(
    ("asked", "drawn", "shown"),
    [
        ((None, None), (32, 32), (384, 384)),  # small bases are enlarged for display
        ((32, 40), (32, 40), (32, 40)),
        ((40, None), (40, 40), (40, 40)),  # one side means a square
        ((128, 128), (32, 32), (128, 128)),  # far above the base's own area: drawn there, then enlarged
        ((256, 128), (48, 24), (256, 128)),
    ],
)
def test_a_picture_has_the_size_that_was_asked_for(
    base: BaseModel, asked: tuple[int | None, int | None], drawn: tuple[int, int], shown: tuple[int, int]
) -> None:
    assert drawing_size(base, *asked) == drawn
    assert for_display(base, Image.new("RGB", drawn), *asked).size == shown
