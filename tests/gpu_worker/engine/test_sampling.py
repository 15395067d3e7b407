from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, EulerDiscreteScheduler, LCMScheduler, StableDiffusionPipeline

from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.samplers import SamplerFamily
from gpu_worker.engine.sampling import PictureOrder, Row, Sampler, advance, decode, draw, noise_of, start
from gpu_worker.engine.sizes import display_size, drawing_size
from gpu_worker.engine.texts import Saying, TextCache
from tests.gpu_worker.engine.test_slots import random_weights

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers' own

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
        latents=torch.cat([noise_of(base, seed, 32, 32) for seed in (3, 4)]),
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


@pytest.mark.parametrize("family", [SamplerFamily.EULER, SamplerFamily.DPM, SamplerFamily.LCM])
def test_other_families_draw_what_they_draw_in_diffusers(
    model: Resident, base_folder: Path, family: SamplerFamily
) -> None:
    scheduler = {"euler": EulerDiscreteScheduler, "dpm++2m": DPMSolverMultistepScheduler, "lcm": LCMScheduler}[family]
    plain = StableDiffusionPipeline.from_pretrained(base_folder, safety_checker=None, requires_safety_checker=False)
    spacing = {} if family is SamplerFamily.LCM else {"timestep_spacing": "trailing"}
    plain.scheduler = scheduler.from_config(plain.scheduler.config, **spacing)
    plain.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(6)
    theirs = plain(
        "a dog", height=32, width=32, num_inference_steps=4, guidance_scale=3.0, generator=generator, output_type="pt"
    ).images
    order = PictureOrder(prompt="a dog", seed=6)
    ours = finish(draw(model, [order], Sampler(steps=4, guidance_scale=3.0, family=family)))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_rows_join_and_leave_and_come_out_as_if_they_were_alone(model: Resident) -> None:
    """Five pictures of three people, each with its own sampler, guidance and length, three at a time."""
    for slot in (1, 2):
        model.serving.load(slot, random_weights(model.serving, 4, seed=slot))
    asked = [
        (PictureOrder(prompt="a photo of sks dog", seed=7, slot=1), Sampler(steps=5, guidance_scale=3.0)),
        (
            PictureOrder(prompt="a cat", negative_prompt="snow", seed=8, slot=2, strength=0.5),
            Sampler(steps=2, guidance_scale=7.0),
        ),
        (PictureOrder(prompt="a fox", seed=9), Sampler(steps=3, guidance_scale=1.5, family=SamplerFamily.LCM)),
        (
            PictureOrder(prompt="sks dog in the snow", seed=7, slot=1),
            Sampler(steps=4, guidance_scale=2.0, family=SamplerFamily.DPM),
        ),
        (
            PictureOrder(prompt="sks dog", seed=1, slot=2),
            Sampler(steps=3, guidance_scale=4.0, family=SamplerFamily.EULER),
        ),
    ]
    waiting = [begin(model, order, sampler) for order, sampler in asked]
    rows, going = list(waiting), list[Row]()
    assert len({row.key for row in rows}) == 1
    while waiting or going:
        going += [waiting.pop(0) for _ in range(min(len(waiting), 3 - len(going)))]
        advance(model, going)
        going = [row for row in going if not row.done]
    alone = torch.cat([finish(draw(model, [order], sampler)) for order, sampler in asked])
    torch.testing.assert_close(decode(model.base, rows), alone, atol=1e-4, rtol=1e-4)


def test_what_cannot_go_through_the_networks_together_has_another_key(model: Resident) -> None:
    order = PictureOrder(prompt="a dog", seed=1)
    plain, unguided = begin(model, order, SAMPLER), begin(model, order, Sampler(steps=4, guidance_scale=1.0))
    wide = begin(model, order, SAMPLER, size=(40, 32))
    assert len({plain.key, unguided.key, wide.key}) == 3
    assert plain.key == begin(model, PictureOrder(prompt="a cat", seed=2, slot=1), SAMPLER).key


def begin(model: Resident, order: PictureOrder, sampler: Sampler, size: tuple[int, int] = (32, 32)) -> Row:
    return start(model, [order], sampler, size, model.serving, model.embed)[0]


def test_a_step_that_fails_changes_no_row(model: Resident, monkeypatch: pytest.MonkeyPatch) -> None:
    order, sampler = PictureOrder(prompt="a dog", seed=1), Sampler(steps=2, guidance_scale=3.0)
    row = begin(model, order, sampler)
    with monkeypatch.context() as patched:
        patched.setattr(type(model.base), "predict", lambda *_: (_ for _ in ()).throw(ZeroDivisionError))
        with pytest.raises(ZeroDivisionError):
            advance(model, [row])
    while not row.done:
        advance(model, [row], thrifty=True)
    torch.testing.assert_close(decode(model.base, [row]), finish(draw(model, [order], sampler)), atol=1e-5, rtol=1e-5)


def test_a_persons_words_are_read_once_while_they_are_remembered(
    model: Resident, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    plain = BaseModel.encode_prompts

    def counted(self: BaseModel, prompts: Sequence[str]) -> torch.Tensor:
        asked.append(len(prompts))
        return plain(self, prompts)

    monkeypatch.setattr(BaseModel, "encode_prompts", counted)
    sayings = [Saying("a dog"), Saying("a dog"), Saying("a cat")]
    first = model.embed(sayings)
    assert asked == [2]
    assert torch.equal(model.embed(sayings[:1])[sayings[0]], first[sayings[0]])
    assert asked == [2]
    one = first[sayings[0]].nbytes
    small = TextCache(most_bytes=one)
    for saying in sayings[1:] * 2:  # each takes the other's place
        small.embed(model.base, model.slots, model.serving, [saying], {})
    assert asked == [2, 1, 1, 1, 1]
    assert small.bytes == one
    for _ in range(2):
        model.embed([Saying("a dog", slot=1)])  # whose adapter that is nobody has said
    assert asked[5:] == [1, 1]
    finish(draw(model, [PictureOrder(prompt="a dog", seed=1)], SAMPLER, bank=model.training_slot(2)[0]))
    assert asked[-1] == 2  # what is not published is read anew each time


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
    assert display_size(drawn, *asked) == shown
