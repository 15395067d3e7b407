"""Stable Diffusion XL: what diffusers draws with it, and everything that people do with a base."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, EDMEulerScheduler, StableDiffusionXLPipeline
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from gpu_worker import pipe
from gpu_worker.engine import training_job
from gpu_worker.engine.adapters import AdapterFile, AdapterHeader, file_digest, save_adapter
from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.base_model import BaseModel, Family, UnfitBase
from gpu_worker.engine.compiled import CompiledUnet
from gpu_worker.engine.export import save_kohya
from gpu_worker.engine.fast_copy import SAMPLERS, Acceleration, load_fast_copy
from gpu_worker.engine.preview_decoder import load_preview_decoder
from gpu_worker.engine.recipes import Recipe, choose_recipe, default_sampler
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import PictureOrder, Sampler, draw, noise_of
from gpu_worker.engine.sdxl import StableDiffusionXL
from gpu_worker.engine.slots import WORD_LAYERS
from gpu_worker.engine.texts import Saying
from gpu_worker.engine.training import DreamBooth, gradients
from storage.contract import Quality, SubjectKind
from tests.gpu_worker.engine.desk import Desk, of_kind
from tests.gpu_worker.engine.test_fast_copy import tiny_decoder
from tests.gpu_worker.engine.test_sampling import finish
from tests.gpu_worker.engine.test_slots import Weights, random_weights
from tests.gpu_worker.engine.test_training_together import RECIPE, examples
from tests.gpu_worker.engine.xl import LAYER_OF_SGM, WIDTHS, tiny_sdxl

SAMPLER, SIZE = Sampler(steps=3, guidance_scale=3.0), (48, 32)
PROMPT = "a photo of sks dog"


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In place of the other family's: `base` and `model` are this one's here."""
    folder = tmp_path_factory.mktemp("tiny") / "sdxl"
    tiny_sdxl().save_pretrained(folder)
    return folder


@pytest.fixture
def xl(base: BaseModel) -> StableDiffusionXL:
    assert isinstance(base, StableDiffusionXL)
    return base


@pytest.fixture
def pipeline(base_folder: Path) -> StableDiffusionXLPipeline:
    pipeline = StableDiffusionXLPipeline.from_pretrained(base_folder, add_watermarker=False)
    pipeline.scheduler = DDIMScheduler.from_config(
        pipeline.scheduler.config, timestep_spacing="trailing", clip_sample=False
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def by_diffusers(pipeline: StableDiffusionXLPipeline, base: BaseModel, negative: str | None = None) -> Tensor:
    width, height = SIZE
    pictures: Tensor = pipeline(
        PROMPT,
        negative_prompt=negative,
        latents=noise_of(base, 3, *SIZE),
        num_inference_steps=SAMPLER.steps,
        guidance_scale=SAMPLER.guidance_scale,
        width=width,
        height=height,
        output_type="pt",
    ).images
    return pictures


def by_us(model: Resident, *orders: PictureOrder) -> Tensor:
    return finish(draw(model, orders, SAMPLER, SIZE))


def test_the_base_says_what_it_is(xl: StableDiffusionXL) -> None:
    assert (xl.family, xl.resolution, xl.size_multiple) == (Family.SDXL, 32, 8)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    torch.testing.assert_close(xl.alphas_cumprod, (1 - betas).cumprod(0), rtol=1e-4, atol=0)
    assert xl.encode_prompts(["a dog", "a photo of a dog " * 9]).shape == (2, 17, sum(WIDTHS))


def test_pictures_equal_those_of_diffusers(xl: StableDiffusionXL, pipeline: StableDiffusionXLPipeline) -> None:
    model = Resident(xl)
    for negative, zeros in (("", True), ("", False), ("a cat in the snow", True)):
        model.base = replace(xl, zeros_for_empty=zeros)
        pipeline.register_to_config(force_zeros_for_empty_prompt=zeros)
        ours = by_us(model, PictureOrder(prompt=PROMPT, negative_prompt=negative, seed=3))
        torch.testing.assert_close(ours, by_diffusers(pipeline, xl, negative or None), atol=1e-4, rtol=1e-4)


def adapter_of(model: Resident, seed: int, *, words: bool = False) -> AdapterFile:
    """Return somebody's adapter of all networks, as it comes back from a file."""
    weights: Weights = {
        name: (down.half().float(), up.half().float())
        for name, (down, up) in random_weights(model.serving, 4, seed=seed).items()
    }
    for layer in WORD_LAYERS if words else ():
        slots, word = model.slots.layers[layer], model.base.word_of("sks")
        down = torch.nn.functional.one_hot(torch.tensor([word]), slots.in_shape[0]).float()
        weights[layer] = down, torch.full((slots.out_features, 1), 0.1)
    about = {"base_digest": model.base.digest, "identifier": "sks", "class_noun": "dog", "rank": 4, "steps": 9}
    return AdapterFile(AdapterHeader.model_validate(about), weights)


def test_people_in_one_batch_get_what_they_get_alone_and_from_diffusers(
    model: Resident, pipeline: StableDiffusionXLPipeline, tmp_path: Path
) -> None:
    """With adapters in all three networks; two subjects side by side are shown in windows of another size."""
    people = {slot: adapter_of(model, seed=slot) for slot in (1, 2)}
    for slot, adapter in people.items():
        model.serving.load(slot, adapter.weights)
    left, right = Saying("sks dog", 1), Saying("sks cat", 2, 0.7)
    orders = [
        PictureOrder(prompt=PROMPT, seed=3, slot=1),
        PictureOrder(prompt=PROMPT, seed=3, slot=2),
        PictureOrder(prompt=PROMPT, seed=3),
        PictureOrder(prompt="", negative_prompt="snow", seed=4, slot=2, strength=0.5),
    ]
    pairs = [PictureOrder(prompt="two", seed=5, subjects=subjects) for subjects in ((left, right), (right, left))]
    together, two = by_us(model, *orders), by_us(model, *pairs)
    alone = [torch.cat([by_us(model, one) for one in company]) for company in (orders, pairs)]
    torch.testing.assert_close(together, alone[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(two, alone[1], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-2)
    save_adapter(tmp_path / "ace.safetensors", people[2])
    pipeline.load_lora_weights(tmp_path, weight_name="ace.safetensors")
    torch.testing.assert_close(together[1:2], by_diffusers(pipeline, model.base), atol=1e-3, rtol=1e-3)


Begin = Callable[..., DreamBooth]


@pytest.fixture
def begin(model: Resident, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    monkeypatch.setattr(model, "together", 2)
    started: list[DreamBooth] = []

    def start(seed: int = 5, recipe: Recipe = RECIPE) -> DreamBooth:
        photos, classes = examples(seed, PROMPT, "sks dog"), examples(seed + 10, "a photo of a dog")
        started.append(DreamBooth(model, recipe, [photos], [classes], identifier="sks", seed=seed))
        return started[-1]

    yield start
    for training in started:
        training.close()


def test_a_training_learns_in_all_networks_and_goes_on_where_it_stood(begin: Begin) -> None:
    recipe = replace(RECIPE, caption_dropout=0.2, steps=8)
    straight, interrupted = begin(recipe=recipe), begin(recipe=recipe)
    before = straight.held_out_loss()
    for _ in range(recipe.steps):
        straight.step()
    assert straight.held_out_loss() < 0.99 * before
    learned = straight.trained()
    assert {name.split(".")[0] for name in learned} == {"unet", "text_encoder", "text_encoder_2"}
    assert learned.keys() == straight.bank.layers.keys()
    for layer in WORD_LAYERS:
        assert learned[layer][0].nonzero().tolist() == [[0, straight.word]]

    for _ in range(3):
        interrupted.step()
    kept = {name: tensor.clone() for name, tensor in interrupted.state().items()}
    interrupted.begin()
    interrupted.restore(kept, 3)
    for _ in range(recipe.steps - 3):
        interrupted.step()
    for name, tensor in interrupted.state().items():
        assert torch.equal(tensor, straight.state()[name]), name


def test_two_trainings_together_learn_what_each_learns_alone(begin: Begin) -> None:
    """One whose text rests, as the recipe has it, beside one that learns to read."""
    resting = replace(RECIPE, text_learning_rate=0.0, word_learning_rate=0.0)
    alone = []
    for seed, recipe in ((1, RECIPE), (2, resting)):
        training = begin(seed, recipe)
        for _ in range(4):
            training.step()
        alone.append(training.trained())
        training.close()
    together = [begin(1, RECIPE), begin(2, resting)]
    for _ in range(4):
        gradients(together)
        for training in together:
            training.descend()
    for training, expected in zip(together, alone, strict=True):
        assert training.trained().keys() == expected.keys()
        for name, (down, up) in training.trained().items():
            torch.testing.assert_close((down, up), expected[name], atol=2e-4, rtol=1e-3)
    assert all(name.startswith("unet.") for name in together[1].parameters)
    assert together[1].resting.keys() >= {PROMPT, "a photo of a dog"}


def test_the_download_draws_our_picture_in_diffusers(
    model: Resident, pipeline: StableDiffusionXLPipeline, tmp_path: Path
) -> None:
    adapter = adapter_of(model, seed=1, words=True)
    recipe = choose_recipe(Family.SDXL, SubjectKind.PET, Quality.GOOD, photos=5)
    save_kohya(tmp_path / "rex.safetensors", adapter, model.base, recipe, photos=5, seed=1)
    model.serving.load(1, adapter.weights)
    ours = by_us(model, PictureOrder(prompt=PROMPT, seed=3, slot=1))

    with safe_open(tmp_path / "rex.safetensors", framework="pt") as file:
        names, metadata = {key.split(".")[0] for key in file.keys()}, file.metadata()  # noqa: SIM118 - not a mapping
    assert {
        "lora_unet_down_blocks_1_attentions_0_transformer_blocks_1_attn2_to_k",
        "lora_te1_text_model_encoder_layers_0_self_attn_q_proj",
        "lora_te2_text_model_encoder_layers_2_mlp_fc2",
    } <= names
    assert {name.split("_")[1] for name in names} == {"unet", "te1", "te2"}
    assert metadata["ss_base_model_version"] == "sdxl_base_v1-0"
    assert metadata["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"

    pipeline.load_lora_weights(tmp_path, weight_name="rex.safetensors")
    without = by_diffusers(pipeline, model.base)
    word = json.loads(metadata["dreambot.word"])
    row = pipeline.tokenizer(word["token"], add_special_tokens=False).input_ids[0]
    for encoder, key in ((pipeline.text_encoder, "vector"), (pipeline.text_encoder_2, "vector_2")):
        encoder.get_input_embeddings().weight.data[row] = torch.tensor(word[key])
    torch.testing.assert_close(ours, by_diffusers(pipeline, model.base), atol=1e-3, rtol=1e-3)
    assert not torch.allclose(ours, without, atol=1e-3)


@pytest.mark.parametrize("name", ["StableDiffusionXLImg2ImgPipeline", "FluxPipeline", None])
def test_other_families_are_refused_with_the_names_of_those_that_are_known(tmp_path: Path, name: str | None) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": name}))
    with pytest.raises(UnfitBase, match=rf"is a {name}; .*1\.x, 2\.x and XL"):
        load_base(str(tmp_path), "cpu")


@pytest.mark.parametrize(
    ("problem", "why"),
    [("another U-Net", "be told None"), ("noise levels", "of EDM"), ("wide", "41 numbers"), ("deaf", "lacks one")],
)
def test_what_only_looks_like_it_is_refused(base_folder: Path, tmp_path: Path, problem: str, why: str) -> None:
    folder = tmp_path / "odd"
    if problem == "wide":
        tiny_sdxl(whole=sum(WIDTHS) + 1).save_pretrained(folder)
    else:
        shutil.copytree(base_folder, folder)
    index = json.loads((folder / "model_index.json").read_text())
    if problem == "another U-Net":
        config = json.loads((folder / "unet" / "config.json").read_text())
        (folder / "unet" / "config.json").write_text(json.dumps(config | {"addition_embed_type": None}))
    elif problem == "noise levels":
        EDMEulerScheduler().save_pretrained(folder / "scheduler")
        index["scheduler"] = ["diffusers", "EDMEulerScheduler"]
    elif problem == "deaf":
        index["text_encoder"] = [None, None]
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(UnfitBase, match=why):
        load_base(str(folder), "cpu")


def test_a_fast_copy_reads_loras_of_the_original_names_too(xl: StableDiffusionXL, tmp_path: Path) -> None:
    parts, expected = dict[str, Tensor](), dict[str, Tensor]()
    for sgm, layer in LAYER_OF_SGM.items():
        weight = xl.unet.get_parameter(f"{layer}.weight").detach()
        down, up = torch.randn(2, weight.shape[1]), torch.randn(weight.shape[0], 2)
        expected[layer] = weight + 0.5 * up @ down
        parts |= {f"lora_unet_{sgm}.lora_down.weight": down, f"lora_unet_{sgm}.lora_up.weight": up}
        parts[f"lora_unet_{sgm}.alpha"] = torch.tensor(1.0)
    save_file(parts, tmp_path / "lcm.safetensors")
    fast = load_fast_copy(xl, str(tmp_path / "lcm.safetensors"), SAMPLERS[Acceleration.LCM])
    for layer, weight in expected.items():
        torch.testing.assert_close(fast.base.unet.get_parameter(f"{layer}.weight").detach(), weight)

    model = Resident(xl, fast=fast)
    model.serving.load(1, adapter_of(model, seed=1).weights)
    orders = [PictureOrder(prompt=PROMPT, seed=3, slot=slot) for slot in (1, 0)]
    pictures = finish(draw(model, orders, fast.sampler))
    assert not torch.allclose(pictures[0], pictures[1], atol=1e-2)


def test_the_compiled_network_is_told_the_same(model: Resident, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    given = torch.randn(2, 4, 8, 12), torch.tensor([7.0, 500.0]), model.base.encode_prompts([PROMPT, ""])
    torch.testing.assert_close(CompiledUnet(model).predict(*given), model.base.predict(*given))


def test_from_photos_to_a_picture(
    model: Resident, tmp_path: Path, photos: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In fewer steps than its recipe has, and with a tiny autoencoder for what is shown on the way."""

    def quicker(*asked: Any) -> Recipe:
        return replace(choose_recipe(*asked), sampler=SAMPLER)

    monkeypatch.setattr(training_job, "choose_recipe", quicker)
    model.previewing = load_preview_decoder(model.base, tiny_decoder(tmp_path / "decoder"))
    desk = Desk(model, tmp_path, photos)
    desk.answers = [(pipe.TrainingDone, None)]
    (done,) = of_kind(desk.run(desk.training()), pipe.TrainingDone)
    assert done.download.is_file()
    desk.reports, desk.answers = [], [(pipe.ImaginingDone, None)]
    (drawn,) = of_kind(desk.run(desk.picture(done.adapter, file_digest(done.adapter))), pipe.ImaginingDone)
    assert drawn.pictures[0].width == 384


def test_its_recipe_lets_the_text_encoders_rest() -> None:
    recipe = choose_recipe(Family.SDXL, SubjectKind.PERSON, Quality.GOOD, photos=5)
    assert (recipe.learning_rate, recipe.text_learning_rate, recipe.steps) == (1e-4, 0.0, 500)
    assert default_sampler(Family.SDXL) == recipe.sampler == Sampler(steps=30, guidance_scale=5.0)
