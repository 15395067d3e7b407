"""Our samplers against diffusers' schedulers, which are the reference for whole trajectories."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LCMScheduler,
)
from torch import Tensor

from gpu_worker.engine.samplers import Process, SamplerFamily, Schedule, process_of, schedule, step

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' own

SHAPE = (2, 4, 4)
BETAS: dict[str, dict[str, Any]] = {
    "sd": {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "set_alpha_to_one": False},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
    "zero snr": {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    | {"rescale_betas_zero_snr": True},
}
REFERENCES: dict[SamplerFamily, Callable[..., Any]] = {
    SamplerFamily.DDIM: DDIMScheduler,
    SamplerFamily.EULER: EulerDiscreteScheduler,
    SamplerFamily.DPM: DPMSolverMultistepScheduler,
    SamplerFamily.LCM: LCMScheduler,
}


def network(latents: Tensor, timesteps: Tensor) -> Tensor:
    """Something smooth that depends on both: latents [B, c, h, w], timesteps [B]."""
    return torch.tanh(latents * 0.7 + latents.roll(1, -1) * 0.3 + timesteps.view(-1, 1, 1, 1) / 1000)


def starting(seed: int, of: Schedule) -> tuple[Tensor, Tensor]:
    """Starting latents [c, h, w] and the noise [steps, c, h, w] of every step, all from one generator."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(SHAPE, generator=generator) * of.start
    return first, torch.stack([torch.randn(SHAPE, generator=generator) for _ in range(len(of))])


def by_us(rows: list[tuple[Schedule, int]]) -> list[Tensor]:
    """Draw rows of any schedules together; each leaves when it is done."""
    begun = [starting(seed, of) for of, seed in rows]
    latents, estimates = [first for first, _ in begun], [first for first, _ in begun]
    for position in range(max(len(of) for of, _ in rows)):
        going = [n for n, (of, _) in enumerate(rows) if position < len(of)]
        lines = torch.stack([rows[n][0].table[position] for n in going]).float()
        now = torch.stack([latents[n] for n in going])
        last = torch.stack([estimates[n] for n in going])
        noise = torch.stack([begun[n][1][position] for n in going])
        after, estimate = step(lines, now, network(now, lines[:, 0]), last, noise)
        for place, n in enumerate(going):
            latents[n], estimates[n] = after[place], estimate[place]
    return latents


def by_diffusers(scheduler: Any, steps: int, seed: int) -> Tensor:
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(1, *SHAPE, generator=generator) * getattr(scheduler, "init_noise_sigma", 1.0)
    for timestep in scheduler.timesteps:
        given = scheduler.scale_model_input(latents, timestep) if hasattr(scheduler, "scale_model_input") else latents
        prediction = network(given, timestep.float().view(1))
        more = {"generator": generator} if isinstance(scheduler, LCMScheduler) else {}
        latents = scheduler.step(prediction, timestep, latents, return_dict=False, **more)[0]
    return latents[0]


def reference(family: SamplerFamily, betas: str, prediction_type: str) -> tuple[Any, Process]:
    config = {**BETAS[betas], "prediction_type": prediction_type, "clip_sample": False}
    known = {name: value for name, value in config.items() if name in REFERENCES[family]().config}
    spacing = {} if family is SamplerFamily.LCM else {"timestep_spacing": "trailing"}
    return REFERENCES[family](**known, **spacing), process_of(config)


@pytest.mark.parametrize("steps", [1, 2, 4, 7, 25, 30])
@pytest.mark.parametrize(
    ("betas", "prediction_type"),
    [("sd", "epsilon"), ("sd", "v_prediction"), ("cosine", "v_prediction"), ("zero snr", "v_prediction")],
)
@pytest.mark.parametrize("family", REFERENCES)
def test_whole_trajectories_equal_diffusers(
    family: SamplerFamily, betas: str, prediction_type: str, steps: int
) -> None:
    scheduler, process = reference(family, betas, prediction_type)
    (ours,) = by_us([(schedule(process, family, steps), 5)])
    # Diffusers keeps Euler's latents as large as sigma, which is 4096 to 20291 where hardly a signal is left: its fp32
    # loses digits there that ours keeps.
    loose = 5e-3 if betas != "sd" and family is SamplerFamily.EULER else 1e-4
    torch.testing.assert_close(ours, by_diffusers(scheduler, steps, 5), rtol=loose, atol=loose)


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("steps", [1, 4, 28])
def test_flow_matching_equals_diffusers(shift: float, steps: int) -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(shift=shift)
    process = process_of(dict(scheduler.config) | {"_class_name": "FlowMatchEulerDiscreteScheduler"})
    (ours,) = by_us([(schedule(process, SamplerFamily.FLOW, steps), 5)])
    torch.testing.assert_close(ours, by_diffusers(scheduler, steps, 5), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_rows_of_all_families_and_lengths_take_their_steps_together(prediction_type: str) -> None:
    asked = [(family, steps) for family in REFERENCES for steps in (3, 11)]
    references = [reference(family, "sd", prediction_type)[0] for family, _ in asked]
    process = reference(SamplerFamily.DDIM, "sd", prediction_type)[1]
    ours = by_us([(schedule(process, family, steps), seed) for seed, (family, steps) in enumerate(asked)])
    for seed, ((_, steps), scheduler, drawn) in enumerate(zip(asked, references, ours, strict=True)):
        torch.testing.assert_close(drawn, by_diffusers(scheduler, steps, seed), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", REFERENCES)
def test_an_epsilon_model_is_not_asked_where_there_is_nothing_but_noise(family: SamplerFamily) -> None:
    """At alpha 0 it can only give its input back: the noise stays, and the picture is the mean of all, which is 0."""
    process = reference(family, "zero snr", "epsilon")[1]
    assert process.alphas_cumprod[-1] == 0
    plan = schedule(process, family, 6)
    line, (latents, _) = plan.table[:1].float(), starting(3, plan)
    if family is not SamplerFamily.LCM:  # its own first timestep is the last as well
        assert line[0, 0] == 999
    said = [step(line, latents[None], torch.full((1, *SHAPE), answer), latents[None], None) for answer in (0.0, 1e9)]
    assert torch.equal(said[0][0], said[1][0])
    assert not said[0][1].any()
    (drawn,) = by_us([(plan, 3)])
    assert drawn.isfinite().all()
    assert drawn.abs().max() < 100


def test_schedules_are_made_once() -> None:
    process = reference(SamplerFamily.DDIM, "sd", "epsilon")[1]
    assert schedule(process, SamplerFamily.DDIM, 25) is schedule(process, SamplerFamily.DDIM, 25)
