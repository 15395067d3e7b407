"""The demo model's sources: its captions, tokenizer and scenes."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops
from safetensors.torch import load_file
from transformers import CLIPTokenizer

from storage.identifiers import IDENTIFIERS
from tools.demo_model import art, captions, coats, compose, export, places, tokenizer

BUNDLE = Path("gpu_worker/demo_bundle")
PLACED = [(place, None) for place in captions.PLACE_PHRASES]
PLAIN = [(None, colour) for colour in coats.PALETTE]
needs_art = pytest.mark.skipif(
    not (art.CACHE / "node_modules").is_dir(), reason="no art cache: python -m tools.demo_model.art fetches it"
)


def draw_captions(count: int) -> list[str]:
    """Captions of random looks in random places, as the composer asks for them."""
    rng = np.random.default_rng(3)
    hats, things, drawn = [None, *art.HATS], [None, *art.THINGS], []
    for _ in range(count):
        nouns = rng.choice(list(art.CLASSES), int(rng.integers(1, 3)), replace=False)
        looks = []
        for noun in nouns:
            coat = coats.random_coat(rng, recoloured=0.5, patterned=0.5)
            looks.append(captions.Looks(str(noun), coat.colour, coat.pattern, hats[rng.integers(len(hats))]))
        place, backdrop = [*PLACED, *PLAIN][rng.integers(len(PLACED) + len(PLAIN))]
        drawn.append(captions.caption(rng, looks, place, backdrop, things[rng.integers(len(things))]))
    return drawn


def test_captions_hold_only_words_that_the_picture_shows() -> None:
    words = {word for text in draw_captions(5000) for word in re.findall(r"[^\s,]+", text)}
    assert words <= set(tokenizer.caption_words())
    assert not words & set(IDENTIFIERS)
    assert not set(tokenizer.caption_words()) & set(IDENTIFIERS)


def test_captions_use_the_whole_vocabulary() -> None:
    words = {word for text in draw_captions(8000) for word in re.findall(r"[a-z]+", text)}
    assert words == set(tokenizer.caption_words())


def test_some_captions_leave_the_place_out() -> None:
    rng = np.random.default_rng(0)
    drawn = [captions.caption(rng, [captions.Looks("dog")], "moon", None, None) for _ in range(500)]
    assert 0.7 < sum("moon" in text for text in drawn) / len(drawn) < 0.95


def test_every_identifier_is_one_token() -> None:
    words = tokenizer.build()
    for word in [*IDENTIFIERS, *(word.upper() for word in IDENTIFIERS)]:
        assert len(words(word).input_ids) == 3, word
    assert len({words(word).input_ids[1] for word in IDENTIFIERS}) == len(IDENTIFIERS) >= 16


def test_every_caption_word_is_one_token() -> None:
    words = tokenizer.build()
    assert [word for word in tokenizer.caption_words() if len(words(word).input_ids) != 3] == []


@pytest.mark.parametrize("text", ["épico 犬!", "🦊 3 foxes & a dog's hat", "", "A\tsks   DOG"])
def test_no_text_is_unknown_to_the_tokenizer(text: str) -> None:
    words = tokenizer.build()
    ids = words(text).input_ids
    assert ids[0] == words.bos_token_id
    assert ids.count(words.eos_token_id) == 1
    assert words.decode(ids, skip_special_tokens=True).replace(" ", "") == "".join(text.lower().split())


def test_the_shipped_tokenizer_is_the_built_one() -> None:
    loaded = CLIPTokenizer.from_pretrained(BUNDLE / "base" / "tokenizer")
    built = tokenizer.build()
    assert loaded.get_vocab() == built.get_vocab()
    assert loaded("a photo of sks dog on the moon").input_ids == built("a photo of sks dog on the moon").input_ids


def test_held_out_art_is_known_but_never_in_training() -> None:
    for noun, held in art.HELD_OUT.items():
        assert held in art.CLASSES[noun]
    trained = {drawing for drawings in art.TRAINING.values() for drawing in drawings}
    assert not trained & set(art.HELD_OUT.values())
    assert all(len(drawings) >= 5 for drawings in art.TRAINING.values())


def test_a_place_is_drawn_alike_from_one_seed_and_otherwise_from_another() -> None:
    def draw(seed: int) -> Image.Image:
        canvas = places.Canvas(64, np.random.default_rng(seed))
        places.forest(canvas)
        return canvas.image()

    assert ImageChops.difference(draw(1), draw(1)).getbbox() is None
    assert ImageChops.difference(draw(1), draw(2)).getbbox() is not None


def test_a_coat_recolours_the_body_and_keeps_the_rest() -> None:
    drawing = np.zeros((32, 32, 4), np.float32)
    drawing[...] = (0.8, 0.5, 0.2, 1)
    drawing[10:14, 10:14, :3] = 0
    dressed = coats.dress(drawing, coats.Coat(colour="blue"))
    assert dressed[0, 0].argmax() in {2, 3}
    assert dressed[0, 0, 2] > dressed[0, 0, 0] + 0.3
    assert np.allclose(dressed[11, 11, :3], 0)


@pytest.mark.parametrize("pattern", coats.PATTERNS)
def test_a_pattern_is_the_same_at_every_size(pattern: str) -> None:
    small = coats.pattern_mask(pattern, (64, 64), 9)
    large = coats.pattern_mask(pattern, (256, 256), 9).reshape(64, 4, 64, 4).mean((1, 3))
    assert 0.02 < small.mean() < 0.98
    assert np.abs(small - large).mean() < 0.05


@needs_art
def test_a_scene_is_a_function_of_its_seed() -> None:
    first, again, other = (compose.Studio().scene(seed) for seed in (7, 7, 8))
    assert ImageChops.difference(first.image, again.image).getbbox() is None
    assert (first.caption, first.place, first.nouns) == (again.caption, again.place, again.nouns)
    assert ImageChops.difference(first.image, other.image).getbbox() is not None


@needs_art
def test_scenes_never_show_held_out_art(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[art.Art] = set()
    render = art.render

    def recording(folder: Path, source: art.Art, size: int) -> art.Pixels:
        used.add(source)
        return render(folder, source, size)

    monkeypatch.setattr(art, "render", recording)
    studio = compose.Studio()
    drawn = [studio.scene(seed).caption for seed in range(400)]
    assert len(used) > 60
    assert not used & set(art.HELD_OUT.values())
    assert not {word for text in drawn for word in text.split()} & set(IDENTIFIERS)


def test_the_bundle_keeps_its_size_limit_and_holds_safetensors_only() -> None:
    fast = export.weight_bytes(BUNDLE / "fast")
    assert 10_000_000 < export.weight_bytes(BUNDLE) - fast <= export.MAX_WEIGHT_BYTES
    assert 1_000_000 < fast <= export.MAX_FAST_BYTES
    assert {path.suffix for path in BUNDLE.rglob("*") if path.is_file()} <= {
        ".safetensors",
        ".json",
        ".jpg",
        ".txt",
        ".md",
    }


def test_the_model_card_names_every_source() -> None:
    card = (BUNDLE / "README.md").read_text(encoding="utf-8").replace("CC BY", "CC-BY").replace("CC-BY ", "CC-BY-")
    for source in art.SETS:
        line = next(line for line in card.splitlines() if f"`@iconify-json/{source.name}`" in line)
        assert source.version in line
        assert source.licence in line
        assert source.source in line


def test_identifiers_are_fresh_and_as_large_as_class_words() -> None:
    words = tokenizer.build()
    table = load_file(BUNDLE / "base" / "text_encoder" / "model.safetensors")
    rows = next(value for key, value in table.items() if key.endswith("token_embedding.weight")).float()
    named = rows[[words(noun).input_ids[1] for noun in art.CLASSES]]
    fresh = rows[[words(word).input_ids[1] for word in IDENTIFIERS]]
    assert float(fresh.std() / named.std()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", ["rex", "luna", "comet"])
def test_every_sample_subject_has_its_photos(name: str) -> None:
    folder = BUNDLE / "photos" / name
    shown = sorted(folder.glob("*/*.jpg"))
    assert [path.parent.name for path in shown] == ["judge"] * 8 + ["train"] * 6
    for path in shown:
        with Image.open(path) as photo:
            assert photo.size == (512, 512)
    assert (folder / "class.txt").read_text(encoding="utf-8").strip() in art.HELD_OUT
