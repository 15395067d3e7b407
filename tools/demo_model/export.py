"""Puts the trained parts into the bundle that ships, in half precision and within its size limit, and measures it."""

import argparse
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from gpu_worker.engine.embedder import Embedder
from gpu_worker.engine.small_embedder import load_embedder
from tools.demo_model import art, captions
from tools.demo_model.train_unet import show

MAX_WEIGHT_BYTES, MAX_FAST_BYTES = 16_000_000, 3_000_000
"""Of what the bot needs, and of the LoRA that makes it faster."""


def load_base(folder: Path, dtype: torch.dtype = torch.float32) -> StableDiffusionPipeline:
    """Load a pipeline folder, in float32 as the worker does on a CPU unless told otherwise."""
    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=dtype, safety_checker=None, use_safetensors=True)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def write_base(trained: Path, out: Path) -> None:
    """Write the pipeline in half precision, with no trace of the folders that it was trained in."""
    load_base(trained, torch.float16).save_pretrained(out, safe_serialization=True)
    for path in out.rglob("*.json"):
        values = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(values, dict) and values.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def weight_bytes(bundle: Path) -> int:
    """Return the size of all weights in the bundle."""
    return sum(path.stat().st_size for path in bundle.rglob("*.safetensors"))


def pictures(pipe: StableDiffusionPipeline) -> Iterator[tuple[str, str, Image.Image]]:
    """Draw one picture of every class in every place: class, place, picture."""
    for row, (place, phrases) in enumerate(captions.PLACE_PHRASES.items()):
        prompts = [f"a photo of {captions.with_article(noun, 'a')} {phrases[0]}" for noun in art.CLASSES]
        generators = [torch.Generator().manual_seed(1000 + 100 * row + column) for column in range(len(prompts))]
        options = {"num_inference_steps": 20, "guidance_scale": 4.0, "height": 64, "width": 64}
        for noun, image in zip(art.CLASSES, pipe(prompts, generator=generators, **options).images, strict=True):
            yield noun, place, image


def measure(pipe: StableDiffusionPipeline, judge: Embedder) -> tuple[float, float]:
    """Return the shares of pictures that the judge finds to be of the right class, and in the right place."""
    nouns, places, drawn = zip(*pictures(pipe), strict=True)
    found = judge.look(drawn)
    classes = [judge.knows.classes[index] for index in found.class_logits.argmax(1)]
    where = [judge.knows.places[index] for index in found.place_logits.argmax(1)]
    return _agreement(classes, nouns), _agreement(where, places)


def _agreement(found: Sequence[str], wanted: Sequence[str]) -> float:
    return sum(a == b for a, b in zip(found, wanted, strict=True)) / len(wanted)


def main() -> None:
    """Export the trained demo model.

    Raises:
        SystemExit: the weights are over the size limit.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--trained", type=Path, default=Path("build/demo_model/trained"))
    parser.add_argument("--out", type=Path, default=Path("gpu_worker/demo_bundle"))
    parser.add_argument("--grid", type=Path, default=Path("docs/images/demo_base_grid.png"))
    options = parser.parse_args()
    write_base(options.trained / "base", options.out / "base")
    shutil.copytree(options.trained / "embedders", options.out / "embedders", dirs_exist_ok=True)
    for path in options.out.rglob("*"):  # safetensors makes its files the owner's alone
        path.chmod(0o755 if path.is_dir() else 0o644)
    size = weight_bytes(options.out) - weight_bytes(options.out / "fast")
    if size > MAX_WEIGHT_BYTES:
        parser.exit(1, f"the weights are {size:,} bytes, over the limit of {MAX_WEIGHT_BYTES:,}\n")
    pipe = load_base(options.out / "base")
    show(pipe, options.grid)
    right_class, right_place = measure(pipe, load_embedder(options.out / "embedders" / "judging"))
    print(f"{size:,} bytes of weights; right class {right_class:.3f}, right place {right_place:.3f}")


if __name__ == "__main__":
    main()
