"""The fast copy: what is fused into it, what people's slots do in it, and what is drawn on it."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderTiny, StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor

from gpu_worker import pipe
from gpu_worker.engine import training_job
from gpu_worker.engine.__main__ import _parser
from gpu_worker.engine.base_model import BaseModel, UnfitBase
from gpu_worker.engine.fast_copy import SAMPLERS, Acceleration, FastCopy, load_fast_copy, sampler_for
from gpu_worker.engine.loading import load_resident
from gpu_worker.engine.plan import choose_plan
from gpu_worker.engine.recipes import default_sampler
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, Sampler, draw
from gpu_worker.engine_process import engine_command
from gpu_worker.settings import WorkerSettings
from storage.contract import ImagineRequest, Quality, Source, Tool
from tests.gpu_worker.engine.desk import Desk
from tests.gpu_worker.engine.test_slots import random_weights
from tests.gpu_worker.engine.test_studio import Visitors

LCM = SAMPLERS[Acceleration.LCM]


def accelerated(unet: UNet2DConditionModel) -> tuple[UNet2DConditionModel, dict[str, Tensor]]:
    """Return a copy with a random LoRA on layers that people's adapters have and on some that they have not."""
    unet = copy.deepcopy(unet)
    targets = ["to_q", "to_out.0", "conv1", "conv_shortcut", "time_emb_proj"]
    unet.add_adapter(LoraConfig(r=3, lora_alpha=3, target_modules=targets))
    generator = torch.Generator().manual_seed(5)
    for name, parameter in unet.named_parameters():
        if "lora_" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.2
    return unet, {name: tensor.contiguous() for name, tensor in get_peft_model_state_dict(unet).items()}


@pytest.fixture
def lora(base: BaseModel, tmp_path: Path) -> str:
    StableDiffusionPipeline.save_lora_weights(tmp_path / "lora", unet_lora_layers=accelerated(base.unet)[1])
    return str(tmp_path / "lora" / "pytorch_lora_weights.safetensors")


@pytest.fixture
def fast(base: BaseModel, lora: str) -> FastCopy:
    return load_fast_copy(base, lora, LCM)


@pytest.fixture
def swift(base: BaseModel, fast: FastCopy) -> Resident:
    return Resident(base, fast=fast)


def seen(base: BaseModel) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(2, 4, 8, 8), torch.tensor([7, 500]), torch.randn(2, 16, base.text_encoder.config.hidden_size)


def test_fused_it_is_what_the_lora_beside_the_weights_is(base: BaseModel, fast: FastCopy) -> None:
    beside, given = accelerated(base.unet)[0], seen(base)
    with torch.no_grad():
        expected = beside(*given).sample
    torch.testing.assert_close(fast.base.predict(*given).detach(), expected, atol=2e-5, rtol=1e-4)
    assert not torch.allclose(base.predict(*given).detach(), expected, atol=1e-2)


def test_it_is_fused_in_fp32_and_rounded_once(base: BaseModel, lora: str) -> None:
    layers, name = accelerated(base.unet)[1], "down_blocks.1.resnets.0.conv1"
    weight = base.unet.get_parameter(f"{name}.weight").detach()
    up, down = layers[f"{name}.lora_B.weight"], layers[f"{name}.lora_A.weight"]
    coarse = replace(base, unet=copy.deepcopy(base.unet).bfloat16())
    fused = load_fast_copy(coarse, lora, LCM).base.unet.get_parameter(f"{name}.weight")
    expected = weight + torch.einsum("or,rihw->oihw", up[..., 0, 0], down)
    torch.testing.assert_close(fused, expected.bfloat16(), rtol=2**-7, atol=1e-6)  # of bf16 a step at the most
    assert (fused == expected.bfloat16()).float().mean() > 0.99


def test_the_layout_of_kohya_with_its_alpha_is_read_too(base: BaseModel, tmp_path: Path) -> None:
    layer = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    weight = base.unet.get_parameter(f"{layer}.weight").detach()
    down, up = torch.randn(2, weight.shape[1]), torch.randn(weight.shape[0], 2)
    stem = "lora_unet_" + layer.replace(".", "_")
    parts = {f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up, f"{stem}.alpha": torch.tensor(1.0)}
    save_file(parts, tmp_path / "lcm.safetensors")
    fused = load_fast_copy(base, str(tmp_path / "lcm.safetensors"), LCM).base.unet.get_parameter(f"{layer}.weight")
    torch.testing.assert_close(fused, weight + 0.5 * up @ down)


@pytest.mark.parametrize("problem", ["missing", "text encoder", "another base", "no LoRA", "alphas"])
def test_what_does_not_fit_is_refused(base: BaseModel, tmp_path: Path, problem: str) -> None:
    _, layers = accelerated(base.unet)
    files: dict[str, dict[str, Tensor]] = {
        "text encoder": {"text_encoder.layers.0.lora_A.weight": torch.ones(1, 16)},
        "another base": {
            f"unet.{name}": tensor.repeat(2, *[1] * (tensor.dim() - 1)) for name, tensor in layers.items()
        },
        "no LoRA": {"unet.conv_in.weight": torch.ones(8, 4, 3, 3)},
        "alphas": {
            f"lora_unet_mid_block_attentions_0_{layer}.{part}": torch.ones(size)
            for layer in ("proj_in", "transformer_blocks_0_attn1_to_q")
            for part, size in (("lora_down.weight", (1, 16)), ("lora_up.weight", (16, 1)), ("alpha", ()))
        },
    }
    files["alphas"]["lora_unet_mid_block_attentions_0_proj_in.alpha"] *= 2
    if problem in files:
        save_file(files[problem], tmp_path / "odd.safetensors")
    why = {"missing": "no such file", "alphas": "alphas of their own"}.get(problem, "")
    with pytest.raises(UnfitBase, match=rf"odd\.safetensors is no LoRA .*{why}"):
        load_fast_copy(base, str(tmp_path / "odd.safetensors"), LCM)


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")  # there are to be two
def test_a_persons_slot_on_it_is_both_loras_by_diffusers(base: BaseModel, fast: FastCopy) -> None:
    both = accelerated(base.unet)[0]
    model = Resident(base, fast=fast)
    weights = random_weights(model.serving, 4, seed=1)
    model.serving.load(3, weights)
    theirs = {name: pair for name, pair in weights.items() if name.startswith("unet.")}
    state = {f"{name}.lora_A.weight": down for name, (down, _) in theirs.items()}
    state |= {
        f"{name}.lora_B.weight": up.reshape(*up.shape, *[1] * (theirs[name][0].dim() - 2))
        for name, (_, up) in theirs.items()
    }
    both.load_lora_adapter(state, prefix="unet", adapter_name="rex")
    both.set_adapters(["default", "rex"], [1.0, 1.0])
    given = seen(base)
    with torch.no_grad():
        together = both(*given).sample
        both.set_adapters(["default"], [1.0])
        alone = both(*given).sample
        with model.slots.use(model.serving, [0, 3]):
            mixed = fast.base.predict(*given)
    torch.testing.assert_close(mixed, torch.stack([alone[0], together[1]]), atol=5e-5, rtol=1e-4)
    assert not torch.allclose(alone[1], together[1], atol=1e-2)


def test_fast_and_plain_pictures_share_the_queue_and_no_batch(swift: Resident, tmp_path: Path) -> None:
    visitors = Visitors(swift, tmp_path, people=2)
    fast = [visitors.order(n, quality=Quality.FAST, steps=None, guidance_scale=1.0) for n in (0, 1)]
    plain = [visitors.order(n, guidance_scale=1.0) for n in (0, 1)]
    alone = []
    for order in (fast[0], plain[0]):
        visitors.take(order.model_copy(update={"folder": tmp_path}))
        alone.append(visitors.finish()[order.request.job])
    visitors.said.clear()
    visitors.take(fast[0], plain[0], fast[1], plain[1])
    jobs = [{order.request.job for order in orders} for orders in (fast, plain)]
    batches = [set(visitors.step()) for _ in range(7)]
    assert all(batch in jobs for batch in batches)
    assert [batches.count(batch) for batch in jobs] == [4, 3]
    drawn = visitors.finish()
    assert drawn.keys() == jobs[0] | jobs[1]
    for order, expected in zip((fast[0], plain[0]), alone, strict=True):
        assert (drawn[order.request.job] - expected).abs().max() <= 1
    assert not visitors.failed


ASKED: list[tuple[dict[str, Any], bool, bool]] = [
    ({"quality": Quality.FAST}, True, True),
    ({"quality": Quality.BEST}, False, False),
    ({}, False, True),
    ({"quality": Quality.FAST, "negative_prompt": "snow", "guidance_scale": 5}, True, True),
    ({"negative_prompt": "snow"}, False, False),
    ({"guidance_scale": 5}, False, False),
    ({"steps": 40}, False, False),
    ({"source": Source(tool=Tool.VARY, key="pictures/a")}, False, False),
]


def asks(**asked: Any) -> ImagineRequest:
    return ImagineRequest(job="a" * 32, attempt=1, base="tiny", prompt="a dog", seed=1, **asked)


def test_the_request_and_the_worker_decide_together(model: Resident) -> None:
    fast = FastCopy(base=model.base, sampler=LCM)
    for asked, on_wish, by_default in ASKED:
        request, usual = asks(**asked), default_sampler(model.base.family)
        steps, guidance_scale = request.steps or usual.steps, request.guidance_scale or usual.guidance_scale
        plain = replace(usual, steps=steps, guidance_scale=guidance_scale)
        model.fast, fast.by_default = None, False
        assert sampler_for(model, request) == plain
        model.fast = fast
        assert sampler_for(model, request) == (LCM if on_wish else plain)
        fast.by_default = True
        assert sampler_for(model, request) == (LCM if by_default else plain)


def test_steps_by_hand_are_taken_as_far_as_it_knows_them(model: Resident) -> None:
    model.fast = FastCopy(base=model.base, sampler=LCM)
    for steps, taken in ((6, 6), (50, 8)):
        assert sampler_for(model, asks(quality=Quality.FAST, steps=steps)) == replace(LCM, steps=taken)


def test_without_a_fast_copy_none_is_drawn_on(model: Resident) -> None:
    with pytest.raises(ValueError, match="no fast copy"):
        finished(model, LCM)


def test_the_demo_base_brings_its_own() -> None:
    """In four steps without guidance it comes much nearer to the guided pictures than the base does."""
    model = load_resident(_parser().parse_args(engine_command(WorkerSettings(base_model="demo", device="cpu"))[3:]))
    assert model.fast is not None
    wanted = ["a photo of a dog on the moon", "a photo of a car in the city"]
    guided = finished(model, Sampler(steps=10, guidance_scale=4.0), wanted)
    few = model.fast.sampler
    near, far = ((finished(model, by, wanted) - guided).abs().mean() for by in (few, replace(few, fast=False)))
    assert near < 0.75 * far


def finished(
    model: Resident, sampler: Sampler, prompts: Sequence[str] = ("a dog",), *, preview: bool = False
) -> Tensor:
    orders = [PictureOrder(prompt=prompt, seed=seed) for seed, prompt in enumerate(prompts)]
    work = draw(model, orders, sampler, preview=preview)
    while True:
        try:
            next(work)
        except StopIteration as end:
            pixels: Tensor = end.value
            return pixels


def tiny_decoder(folder: Path, channels: int = 4) -> str:
    """Write a random one for pictures four times as wide as their latents."""
    torch.manual_seed(0)
    blocks = {"encoder_block_out_channels": (8, 8, 8), "decoder_block_out_channels": (8, 8, 8)}
    counts = {"num_encoder_blocks": (1, 1, 1), "num_decoder_blocks": (1, 1, 1)}
    AutoencoderTiny(**blocks, **counts, latent_channels=channels).save_pretrained(folder)
    return str(folder)


def test_the_worker_says_what_the_engine_loads(lora: str, base_folder: Path, tmp_path: Path) -> None:
    settings = WorkerSettings(
        base_model=str(base_folder),
        fast_lora=lora,
        fast_sampler="ddim",
        fast_steps=2,
        fast_by_default=True,
        preview_decoder=tiny_decoder(tmp_path / "tiny"),
        device="cpu",
    )
    arguments = _parser().parse_args(engine_command(settings)[3:])
    model = load_resident(arguments)
    assert model.fast is not None
    assert model.fast.sampler == replace(SAMPLERS[Acceleration.DDIM], steps=2)
    assert model.fast.by_default
    assert choose_plan(model, arguments).endswith("a fast copy of 2 steps, no offload")
    preview = finished(model, model.fast.sampler, preview=True)
    assert preview.shape == (1, 3, 32, 32)
    assert not torch.allclose(preview, finished(model, model.fast.sampler), atol=0.01)  # only previews are decoded so
    with pytest.raises(UnfitBase, match="latent_channels"):
        load_resident(
            _parser().parse_args(
                [*engine_command(settings)[3:], "--preview-decoder", tiny_decoder(tmp_path / "odd", 8)]
            )
        )


def test_previews_of_trainings_are_drawn_on_it(
    swift: Resident, tmp_path: Path, photos: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[Sampler, bool]] = []

    def note(model: Resident, orders: Any, sampler: Sampler, *rest: Any, **more: Any) -> Any:
        drawn.append((sampler, more["preview"]))
        return draw(model, orders, sampler, *rest, **more)

    monkeypatch.setattr(training_job, "draw", note)
    desk = Desk(swift, tmp_path, photos)
    order = desk.training()
    desk.answers.append((pipe.Sampled, pipe.Cancel(job=order.request.job)))
    reports = desk.run(order, end_with=[order])
    assert any(isinstance(report, pipe.Sampled) for report in reports)
    assert drawn
    assert all(each == (LCM, True) for each in drawn)
