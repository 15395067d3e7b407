"""The DreamBooth step: what it computes, that it learns, and that an interrupted training ends at the same place."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr
from torch import Tensor

from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.examples import Examples, Latents, balanced
from gpu_worker.engine.noise import add_noise, loss_weights, spread
from gpu_worker.engine.recipes import Recipe
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import Sampler
from gpu_worker.engine.slots import WORD_LAYER
from gpu_worker.engine.training import (
    SMALL,
    DreamBooth,
    embed_together,
    losses_of,
    rate_at,
)

RECIPE = Recipe(
    learning_rate=1e-2,
    text_learning_rate=1e-2,
    rank=4,
    batch_size=2,
    prior_weight=0.5,
    class_images=3,
    views_per_photo=1,
    least_steps=1,
    most_steps=1,
    steps=12,
    sampler=Sampler(steps=2, guidance_scale=2.0),
)

Make = Callable[..., DreamBooth]


def latents(count: int, seed: int, emphasis: Tensor | None = None, width: int = 8) -> Latents:
    generator = torch.Generator().manual_seed(seed)
    mean = torch.randn(count, 2, 4, 8, width, generator=generator)
    return Latents(mean, torch.full_like(mean, 0.1), emphasis)


@pytest.fixture
def make(model: Resident) -> Iterator[Make]:
    started: list[DreamBooth] = []

    def start(recipe: Recipe = RECIPE, seed: int = 5, emphasis: Tensor | None = None, width: int = 8) -> DreamBooth:
        prior = latents(recipe.class_images, 2) if recipe.prior else None
        classes = [] if prior is None else [Examples(prior, [["a photo of a dog"]] * recipe.class_images)]
        photos = Examples(latents(3, 1, emphasis, width), [["a photo of sks dog"]] * 3)
        started.append(DreamBooth(model, recipe, [photos], classes, identifier="sks", seed=seed))
        return started[-1]

    yield start
    for trainer in started:
        trainer.close()


def changed(**values: float | None) -> Recipe:
    return Recipe(**{**RECIPE.__dict__, **values})


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_noise_targets_and_weights_are_those_of_diffusers(prediction_type: str) -> None:
    scheduler = DDPMScheduler(prediction_type=prediction_type)
    clean, noise, timesteps = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 8, 8), torch.tensor([0, 400, 999])
    noisy, target = add_noise(clean, noise, scheduler.alphas_cumprod[timesteps], prediction_type)
    torch.testing.assert_close(noisy, scheduler.add_noise(clean, noise, timesteps))
    expected = noise if prediction_type == "epsilon" else scheduler.get_velocity(clean, noise, timesteps)
    torch.testing.assert_close(target, expected)

    snr = compute_snr(scheduler, timesteps)
    divisor = snr if prediction_type == "epsilon" else snr + 1
    weights = loss_weights(scheduler.alphas_cumprod, prediction_type, changed(min_snr=5.0))[timesteps]
    torch.testing.assert_close(weights, snr.clamp(max=5.0) / divisor, rtol=1e-4, atol=1e-6)
    plain = loss_weights(scheduler.alphas_cumprod, prediction_type, changed(min_snr=None))
    assert plain.unique().tolist() == [1.0]


def test_an_offset_lets_steps_of_nearly_pure_noise_count_where_velocity_is_predicted() -> None:
    alphas_cumprod = torch.tensor([1.0 - 1e-3, 0.5, 1e-4])
    plain, offset = changed(min_snr=5.0), changed(min_snr=5.0, snr_offset=0.5)
    torch.testing.assert_close(
        loss_weights(alphas_cumprod, "v_prediction", offset), torch.tensor([0.005, 0.75, 0.5]), rtol=1e-3, atol=0
    )
    of_noise = [loss_weights(alphas_cumprod, "epsilon", recipe) for recipe in (plain, offset)]
    torch.testing.assert_close(of_noise[0], of_noise[1])


@pytest.mark.parametrize("width", [8, 12])
@pytest.mark.parametrize("emphasised", [False, True])
def test_the_loss_is_the_papers(make: Make, model: Resident, emphasised: bool, width: int) -> None:
    """Instance error plus prior weight times class error, each with its own prompt, computed here by hand."""
    shares = torch.rand(3, 2, 1, 8, width, generator=torch.Generator().manual_seed(8))
    emphasis = shares if emphasised else None
    trainer = make(emphasis=emphasis, width=width)
    draws, base = trainer.draws, model.base
    generator = torch.Generator().manual_seed((trainer.seed << 20) + 0)
    clean = trainer.photos[0].latents.draw(draws.photo[0], draws.view[0], generator)
    of_class = trainer.class_images[0].latents.draw(draws.class_image[0], draws.class_view[0], generator)
    sizes = [(4, 4, 8, 8)] if width == 8 else [clean.shape, of_class.shape]
    noise = [rows for size in sizes for rows in torch.randn(size, generator=generator).split(2)]
    expected = torch.tensor(0.0)
    with torch.no_grad():
        counts = torch.ones(()) if emphasis is None else emphasis[draws.photo[0], draws.view[0]]
        for half, prompt, images, weight in (
            (0, "a photo of sks dog", clean, counts),
            (1, "a photo of a dog", of_class, 0.5),
        ):
            timesteps = draws.timestep[0].chunk(2)[half]
            noisy, target = add_noise(images, noise[half], base.alphas_cumprod[timesteps], base.prediction_type)
            answer = base.predict(noisy, timesteps, base.encode_prompts([prompt] * 2))
            error = (F.mse_loss(answer, target, reduction="none") * weight).mean((1, 2, 3)) * trainer.weights[timesteps]
            expected = expected + error.mean()
    torch.testing.assert_close(trainer.step(), expected)


def test_it_learns(make: Make, model: Resident) -> None:
    trainer = make(changed(steps=60))

    def error(trainer: DreamBooth, step: int) -> float:
        position, trainer.position = trainer.position, step
        (loss,) = losses_of([trainer], trainer.rows())
        trainer.position = position
        return float(loss)

    def error_on_fixed_noise() -> float:
        with torch.no_grad(), model.slots.use(trainer.bank, [trainer.slot]):
            return sum(error(trainer, step) for step in range(30))

    before = error_on_fixed_noise()
    for _ in range(60):
        trainer.step()
    assert error_on_fixed_noise() < 0.97 * before


def test_the_held_out_loss_is_of_views_that_no_step_looks_at(make: Make) -> None:
    trainer = make(changed(steps=60))
    assert trainer.photos[0].latents.mean.shape[1] == 1
    assert trainer.held_out[0].mean.shape[1] == 1
    assert not torch.isin(trainer.held_out[0].mean, trainer.photos[0].latents.mean).any()
    before = trainer.held_out_loss()
    assert trainer.held_out_loss() == before
    for _ in range(60):
        trainer.step()
    assert trainer.held_out_loss() != before
    assert trainer.position == 60


def test_the_base_stays_as_it_was(make: Make, model: Resident) -> None:
    before = {name: tensor.clone() for name, tensor in model.base.unet.state_dict().items()}
    trainer = make()
    for _ in range(3):
        trainer.step()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.base.unet.state_dict().items())
    assert not any(up[0].any() for up in trainer.bank.up.values())  # slot 0 stays empty
    assert any(name.startswith("text_encoder.") for name in trainer.trained())


def test_the_text_encoder_can_rest(make: Make, model: Resident) -> None:
    trainer = make(changed(text_learning_rate=0.0))
    trainer.step()
    trainer.step()
    assert all(name.startswith("unet.") for name in trainer.trained())
    assert not any(bank.any() for name, bank in trainer.bank.up.items() if name.startswith("text_encoder."))


def test_a_word_can_learn_while_the_text_encoder_rests(make: Make, model: Resident) -> None:
    trainer = make(changed(text_learning_rate=0.0, word_learning_rate=0.01))
    untouched = model.base.encode_prompts(["a photo of a dog"])
    for _ in range(3):
        trainer.step()
    assert trainer.word == model.base.word_of("sks")
    down, up = trainer.trained()[WORD_LAYER]
    assert down.nonzero().tolist() == [[0, trainer.word]]
    assert up.any()
    assert [name for name in trainer.trained() if name.startswith("text_encoder.")] == [WORD_LAYER]
    with torch.no_grad(), model.slots.use(trainer.bank, [trainer.slot]):
        torch.testing.assert_close(model.base.encode_prompts(["a photo of a dog"]), untouched)
    assert trainer.resting.keys() == {"a photo of a dog"}


def test_every_image_is_called_by_its_own_prompts(make: Make, model: Resident) -> None:
    photos = Examples(latents(2, 1), [["sks dog", "a photo of sks dog"]] * 2)
    classes = Examples(latents(3, 2), [["a photo of a dog"], ["a dog on the moon"], ["a dog in the snow"]])
    trainer = DreamBooth(model, changed(steps=40), [photos], [classes], identifier="sks", seed=5)
    rows = [
        [texts[at] for at in row] for texts, row in zip(trainer.draws.said, trainer.draws.prompt.tolist(), strict=True)
    ]
    for image, row in zip(trainer.draws.class_image.tolist(), rows, strict=True):
        assert row[2:] == [classes.prompts[at][0] for at in image]
    said = Counter(text for row in rows for text in row[:2])
    assert said.keys() == {"sks dog", "a photo of sks dog"}
    assert min(said.values()) > 20
    with torch.no_grad():
        together = embed_together([trainer])[0][trainer.draws.prompt[0]]
        torch.testing.assert_close(together, model.base.encode_prompts(rows[0]))


def test_the_base_is_its_own_teacher(make: Make, model: Resident) -> None:
    """The class rows' target is the base's answer: at first nothing is wrong with them, and they hold the class."""
    trainer = make(changed(teacher=True, text_learning_rate=0.0, caption_dropout=0.5))
    ((noisy, target),) = trainer._noised(0)
    with torch.no_grad():
        prompts = model.base.encode_prompts(["a photo of a dog"] * 2)
        expected = model.base.predict(noisy[2:], trainer.draws.timestep[0, 2:], prompts)
    torch.testing.assert_close(target[2:], expected)
    assert {prompt for said in trainer.draws.said for prompt in said} == {"", "a photo of sks dog", "a photo of a dog"}
    for _ in range(12):
        trainer.step()
    torch.testing.assert_close(trainer._noised(0)[0][1], target)  # whatever the slot has learned


def test_without_a_prior_only_the_photos_count(make: Make) -> None:
    trainer = make(changed(prior_weight=0.0))
    assert trainer.draws.said[0] == ["a photo of sks dog"]
    assert torch.isfinite(trainer.step())


@pytest.mark.parametrize("ema", [None, 0.9])
def test_an_interrupted_training_ends_at_the_same_weights_bit_for_bit(make: Make, ema: float | None) -> None:
    recipe = changed(ema=ema)
    straight = make(recipe)
    for _ in range(recipe.steps):
        straight.step()
    first = make(recipe)
    for _ in range(5):
        first.step()
    kept = {name: tensor.clone() for name, tensor in first.state().items()}
    second = make(recipe)
    second.restore(kept, 5)
    for _ in range(recipe.steps - 5):
        second.step()
    expected = straight.state()
    for name, tensor in second.state().items():
        assert torch.equal(tensor, expected[name]), name
    assert straight.trained().keys() == second.trained().keys()


@pytest.mark.parametrize("prior_weight", [0.5, 0.0])
def test_the_small_plan_computes_the_same_with_less_memory(
    make: Make, model: Resident, monkeypatch: pytest.MonkeyPatch, prior_weight: float
) -> None:
    rows: list[int] = []
    predict = BaseModel.predict

    def counting(self: BaseModel, latents: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        rows.append(len(latents))
        return predict(self, latents, *rest)

    monkeypatch.setattr(BaseModel, "predict", counting)
    runs = []
    block = model.base.unet.get_submodule("down_blocks.0.resnets.0")
    block.register_forward_pre_hook(lambda *_: runs.append(0))
    whole, parts = (make(changed(prior_weight=prior_weight)) for _ in range(2))
    parts.plan = SMALL
    together = [float(whole.step()) for _ in range(3)]
    batch, forwards = rows[0], len(runs)
    apart = [float(parts.step()) for _ in range(3)]
    assert rows[3:] == [batch // 2] * 6
    assert len(runs) - forwards == 2 * 6  # each part forward, and once more in its backward pass
    assert together == pytest.approx(apart, rel=1e-5)
    for name, tensor in whole.parameters.items():
        torch.testing.assert_close(tensor, parts.parameters[name], rtol=0.01, atol=1e-3)
    assert not getattr(block, "gradient_checkpointing", False)


def test_the_average_is_what_is_published(make: Make) -> None:
    trainer = make(changed(ema=0.5))
    ups = []
    name = next(iter(trainer.bank.layers))
    for _ in range(2):
        trainer.step()
        ups.append(trainer.bank.up[name][trainer.slot].detach().clone())
    torch.testing.assert_close(trainer.trained()[name][1], 0.5 * ups[1] + 0.25 * ups[0])


def test_the_seed_decides_everything(make: Make) -> None:
    one, same, other = make(seed=1), make(seed=1), make(seed=2)
    assert float(one.step()) == float(same.step()) != float(other.step())


def test_the_rate_warms_up_and_then_falls_to_nothing() -> None:
    recipe = changed(steps=100, warmup_steps=10)
    rates = [rate_at(step, recipe) for step in range(100)]
    assert rates[:2] == [0.1, 0.2]
    assert rates[9] == rates[10] == 1.0
    assert rates[-1] == pytest.approx(1 / 90)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rate_at(0, changed(steps=5, warmup_steps=10)) == 1.0  # a short training is not all warm-up


def test_each_step_sees_little_and_much_noise() -> None:
    drawn = spread(1000, 2000, 4, torch.Generator().manual_seed(0))

    ordered = drawn.sort(dim=1).values
    assert ordered.diff(dim=1).min() >= 249
    assert ordered[:, 0].max() < 250
    assert ordered[:, 3].min() >= 749
    for place in range(4):
        quarters = torch.bincount(drawn[:, place] // 250, minlength=4)
        assert quarters.min() > 400


def test_every_photo_is_seen_as_often_as_any_other() -> None:
    drawn = balanced(3, 31, torch.Generator().manual_seed(0))
    counts = drawn.bincount()
    assert counts.max() - counts.min() <= 1
    assert drawn[:3].sort().values.tolist() == [0, 1, 2]
