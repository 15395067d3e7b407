"""A real but tiny Stable Diffusion pipeline with random weights, so that tests of the engine take moments."""

import string
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.resident import Resident
from storage.identifiers import IDENTIFIERS

WORDS = "a an photo of dog fox cat car moon beach forest on at in the snow picture style".split()
LENGTH = 16


def tiny_tokenizer() -> CLIPTokenizer:
    """Whole words, with letters to fall back on."""
    letters = list(string.ascii_lowercase)
    vocabulary = [*letters, *[letter + "</w>" for letter in letters]]
    merges: list[str] = []
    for word in [*WORDS, *IDENTIFIERS]:
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            merge, joined = f"{pieces[0]} {pieces[1]}", pieces[0] + pieces[1]
            if merge not in merges:
                merges.append(merge)
            if joined not in vocabulary:
                vocabulary.append(joined)
            pieces = [joined, *pieces[2:]]
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    ids = {token: number for number, token in enumerate(vocabulary)}
    return CLIPTokenizer(vocab=ids, merges=[tuple(m.split()) for m in merges], model_max_length=LENGTH)


def tiny_pipeline(prediction_type: str = "v_prediction") -> StableDiffusionPipeline:
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=LENGTH,
            projection_dim=16,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=4,
        sample_size=32,
        scaling_factor=0.5,
    )
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(prediction_type=prediction_type, steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "base"
    tiny_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture
def base(base_folder: Path) -> BaseModel:
    return load_base(str(base_folder), "cpu")


@pytest.fixture
def model(base: BaseModel) -> Resident:
    return Resident(base)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Three photos of nothing much, none of them square."""
    folder = tmp_path_factory.mktemp("photos")
    paths = []
    for number, size in enumerate([(48, 64), (64, 48), (80, 40)]):
        path = folder / f"{number}.png"
        gradient = Image.linear_gradient("L").resize(size)
        Image.merge("RGB", (gradient, gradient.rotate(90 * number), Image.new("L", size, 60 * number))).save(path)
        paths.append(path)
    return tuple(paths)
