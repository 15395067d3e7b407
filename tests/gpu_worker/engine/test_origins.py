"""Pictures that go on from another, against diffusers' image-to-image and inpainting pipelines."""

from pathlib import Path

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
)

from gpu_worker.engine.origins import Origin, steps_taken
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.samplers import SamplerFamily
from gpu_worker.engine.sampling import PictureOrder, Sampler, advance, decode, draw, noise_of, start
from tests.gpu_worker.engine.test_sampling import finish

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' own

SCHEDULERS = {
    SamplerFamily.DDIM: DDIMScheduler,
    SamplerFamily.EULER: EulerDiscreteScheduler,
    SamplerFamily.DPM: DPMSolverMultistepScheduler,
}
STEPS, SCALE, SEED = 7, 3.0, 6


@pytest.fixture
def given() -> torch.Tensor:
    return torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(1))


def ours(model: Resident, origin: Origin, family: SamplerFamily) -> torch.Tensor:
    order = PictureOrder(prompt="a dog", negative_prompt="a cat", seed=SEED, origin=origin)
    return finish(draw(model, [order], Sampler(steps=STEPS, guidance_scale=SCALE, family=family)))


@pytest.mark.parametrize(
    ("family", "strength"),
    [
        (SamplerFamily.DDIM, 0.35),
        (SamplerFamily.DDIM, 1.0),
        (SamplerFamily.EULER, 0.7),
        (SamplerFamily.DPM, 0.7),
    ],
)
def test_image_to_image_equals_that_of_diffusers(
    model: Resident, base_folder: Path, given: torch.Tensor, family: SamplerFamily, strength: float
) -> None:
    theirs = StableDiffusionImg2ImgPipeline.from_pretrained(
        base_folder, safety_checker=None, requires_safety_checker=False
    )
    theirs.scheduler = SCHEDULERS[family].from_config(theirs.scheduler.config, timestep_spacing="trailing")
    theirs.set_progress_bar_config(disable=True)
    pixels = theirs(
        "a dog",
        negative_prompt="a cat",
        image=given[None],
        strength=strength,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        generator=torch.Generator().manual_seed(SEED),
        output_type="pt",
    ).images
    drawn = ours(model, Origin(latents=given, strength=strength), family)
    torch.testing.assert_close(drawn, pixels, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("strength", [0.6, 1.0])
def test_inpainting_equals_that_of_diffusers(
    model: Resident, base_folder: Path, given: torch.Tensor, strength: float
) -> None:
    theirs = StableDiffusionInpaintPipeline.from_pretrained(
        base_folder, safety_checker=None, requires_safety_checker=False
    )
    theirs.scheduler = DDIMScheduler.from_config(theirs.scheduler.config, timestep_spacing="trailing")
    theirs.set_progress_bar_config(disable=True)
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, 12:] = 1
    latents = theirs(
        "a dog",
        negative_prompt="a cat",
        image=given[None],
        mask_image=mask,
        masked_image_latents=torch.zeros(1, 4, 8, 8),
        height=32,
        width=32,
        strength=strength,
        num_inference_steps=STEPS,
        guidance_scale=SCALE,
        generator=torch.Generator().manual_seed(SEED),
        output_type="latent",
    ).images
    origin = Origin(latents=given, strength=strength, mask=mask[0, :, ::4, ::4])
    pixels = ours(model, origin, SamplerFamily.DDIM)
    torch.testing.assert_close(pixels, model.base.decode(latents), atol=1e-4, rtol=1e-4)


def test_what_a_mask_keeps_is_there_at_the_end_whatever_the_sampler(model: Resident, given: torch.Tensor) -> None:
    mask = torch.zeros(1, 8, 8)
    mask[..., 4:] = 1
    for family in (*SCHEDULERS, SamplerFamily.LCM):
        order = PictureOrder(prompt="a dog", seed=2, origin=Origin(latents=given, strength=0.8, mask=mask))
        sampler = Sampler(steps=4, guidance_scale=2.0, family=family)
        (row,) = start(model, [order], sampler, (32, 32), model.serving, model.embed)
        assert len(row.schedule) == 3
        while not row.done:
            advance(model, [row])
        assert torch.equal(row.latents[..., :4], given[..., :4])
        assert not torch.allclose(row.latents[..., 4:], given[..., 4:], atol=0.05)
        assert decode(model.base, [row]).shape == (1, 3, 32, 32)


def test_the_noise_is_the_seeds_own(model: Resident, given: torch.Tensor) -> None:
    order = PictureOrder(prompt="a dog", seed=2, origin=Origin(latents=given, strength=0.5))
    sampler = Sampler(steps=4, guidance_scale=2.0)
    (row,) = start(model, [order], sampler, (32, 32), model.serving, model.embed)
    clean, noisy = row.schedule.levels[0].tolist()
    torch.testing.assert_close(row.latents, clean * given + noisy * noise_of(model.base, 2, 32, 32)[0])


@pytest.mark.parametrize(("steps", "strength", "taken"), [(25, 0.35, 8), (25, 1.0, 25), (4, 0.1, 1), (1, 0.3, 1)])
def test_a_share_of_the_steps_is_taken_and_one_at_least(steps: int, strength: float, taken: int) -> None:
    assert steps_taken(steps, strength) == taken
