"""Embedders made of DINOv2 and CLIP: tiny ones with random weights, saved and loaded like those from the hub."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, Dinov2Config, Dinov2Model

from gpu_worker import pipe
from gpu_worker.engine import training_job
from gpu_worker.engine.adapters import load_adapter
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.embedder import Embedders, pixels_of
from gpu_worker.engine.fidelity import find_copies, score_places, score_style, score_subject
from gpu_worker.engine.hub_embedders import CLASSES, UnfitEmbedder, load_hub_embedders
from gpu_worker.engine.resident import Resident
from tests.gpu_worker.engine.conftest import tiny_tokenizer
from tests.gpu_worker.engine.test_choosing import request_for
from tests.gpu_worker.engine.test_recovery import RECIPE

SIDE = 28
BUNDLE = Path(__file__).parents[3] / "gpu_worker" / "demo_bundle"


def photos_of(name: str) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in sorted((BUNDLE / "photos" / name / "train").glob("*.jpg"))]


def stripes(width: int) -> list[Image.Image]:
    """Four pictures with stripes of this width, each a shade darker."""
    board = torch.arange(SIDE).div(width, rounding_mode="floor") % 2
    pictures = [board.repeat(SIDE, 1) * (220 - 4 * shade) for shade in range(4)]
    return [Image.fromarray(picture.byte().numpy()).convert("RGB") for picture in pictures]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    torch.manual_seed(0)
    folder, tokenizer = tmp_path_factory.mktemp("hub"), tiny_tokenizer()
    shape = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 4, "num_attention_heads": 2}
    seeing = {"image_size": SIDE, "patch_size": 14}
    ends = {f"{end}_token_id": getattr(tokenizer, f"{end}_token_id") for end in ("bos", "eos", "pad")}
    reading = {"vocab_size": len(tokenizer), "max_position_embeddings": 64, **ends}
    clip = CLIPModel(CLIPConfig(text_config=shape | reading, vision_config=shape | seeing, projection_dim=12))
    clip.save_pretrained(folder / "clip")
    tokenizer.model_max_length = 64
    tokenizer.save_pretrained(folder / "clip")
    Dinov2Model(Dinov2Config(**shape, **seeing)).save_pretrained(folder / "dinov2")
    processor = CLIPImageProcessorPil(crop_size=SIDE, size={"shortest_edge": SIDE})
    for name in ("clip", "dinov2"):
        processor.save_pretrained(folder / name)
    return folder / "dinov2", folder / "clip"


@pytest.fixture(scope="module")
def embedders(folders: tuple[Path, Path]) -> Embedders:
    return load_hub_embedders(*map(str, folders))


def test_they_say_what_the_models_say(embedders: Embedders, folders: tuple[Path, Path]) -> None:
    dinov2, clip = Dinov2Model.from_pretrained(folders[0]).eval(), CLIPModel.from_pretrained(folders[1]).eval()
    photos = photos_of("rex")[:3]
    processor = CLIPImageProcessorPil.from_pretrained(folders[1])
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (processor.image_mean, processor.image_std))
    pixels = (pixels_of(photos, SIDE, Image.Resampling.BICUBIC) - mean) / std
    said = embedders.choosing.look(photos)
    with torch.inference_mode():
        torch.testing.assert_close(said.identity, F.normalize(dinov2(pixels).last_hidden_state[:, 0], dim=-1))
        texts = tiny_tokenizer()(["a photo of a dog.", "a photo of a cat."], padding=True, return_tensors="pt")
        both = clip(pixel_values=pixels, **texts)
    of_dog_and_cat = said.class_logits[:, [CLASSES.index("dog"), CLASSES.index("cat")]]
    torch.testing.assert_close(of_dog_and_cat, both.logits_per_image, atol=1e-4, rtol=1e-4)
    assert embedders.choosing.settings[0] == "at the beach"
    assert embedders.choosing.settings[-1] == ""
    settings = ["a photo taken at the beach.", "a photo."]
    with torch.inference_mode():
        of_settings = clip(pixel_values=pixels, **tiny_tokenizer()(settings, padding=True, return_tensors="pt"))
    where = embedders.choosing.where(photos).log()
    compared = of_settings.logits_per_image.diff(dim=1)
    torch.testing.assert_close(where[:, [0, -1]].diff(dim=1), compared, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(embedders.judging.look(photos).identity, both.image_embeds, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(embedders.judging.look(photos).class_logits, said.class_logits)


def test_scores_are_held_against_what_the_base_draws(embedders: Embedders) -> None:
    rex, luna = stripes(4), stripes(2)  # weights of chance tell no dogs apart
    for embedder in (embedders.choosing, embedders.judging):
        with pytest.raises(ValueError, match="at least one picture"):
            score_subject(embedder, rex, rex, "dog")
        assert score_subject(embedder, luna, rex, "dog", luna).score == pytest.approx(0, abs=1e-5)
        assert score_subject(embedder, rex, rex, "dog", luna).score > 0.9
        assert 0 <= score_places(embedder, rex, ["moon"] * len(rex)) <= 1
        assert score_style(embedder, luna, rex, luna) == pytest.approx(0, abs=1e-3)
    photos = photos_of("rex")
    shown = [photos[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT), photos_of("luna")[0]]
    assert find_copies(embedders.choosing, shown, photos) == [0]


def test_a_model_that_cannot_read_is_refused(folders: tuple[Path, Path]) -> None:
    with pytest.raises(UnfitEmbedder, match="must be a CLIP model"):
        load_hub_embedders(str(folders[1]), str(folders[0]))


def test_a_model_that_is_not_there_is_refused(folders: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UnfitEmbedder, match="nothing"):
        load_hub_embedders(str(tmp_path / "nothing"), str(folders[1]))


def test_a_training_is_chosen_and_judged_by_them(
    embedders: Embedders, base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Resident(base, slots=1, embedders=embedders)
    monkeypatch.setattr(training_job, "choose_recipe", lambda *_: replace(RECIPE, steps=8))
    photos = tuple(sorted((BUNDLE / "photos" / "rex" / "train").glob("*.jpg")))[:3]
    order = pipe.Train(request=request_for("dog"), photos=photos, folder=tmp_path)
    *_, done = filter(None, training_job.train(model, order, tmp_path / "cache"))
    assert isinstance(done, pipe.TrainingDone)
    assert done.findings is not None
    reference = load_adapter(done.adapter, digest=None, base_digest=base.digest).reference
    assert reference is not None
    assert reference.embedder == embedders.choosing.digest != embedders.judging.digest
