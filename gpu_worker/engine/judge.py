"""Judge finished pictures with the embedder that chose nothing, on photos that training never saw.

As a program it reads one question as JSON from stdin and answers with the scores as JSON, so that whoever asks needs no
model code: `python -m gpu_worker.engine.judge < question.json`.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict

from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.base_model import BaseModel as Base
from gpu_worker.engine.embedder import Embedder
from gpu_worker.engine.fidelity import find_copies, score_places, score_subject
from gpu_worker.engine.small_embedder import load_embedder

BUNDLE = Path(__file__).parent.parent / "demo_bundle"


class Question(BaseModel):
    """Which pictures to judge. Pictures are given by the place that their prompts named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    class_noun: str
    training_photos: tuple[Path, ...]
    held_out_photos: tuple[Path, ...]
    subject_pictures: Mapping[str, tuple[Path, ...]]
    base_pictures: Mapping[str, tuple[Path, ...]] = {}
    """The untrained base's answer to the same prompts, for the floor."""


def judge(question: Question, embedder: Embedder, base: Base) -> dict[str, Any]:
    """Return `subject_score`, raw `cosines`, `prompt_score` and `copies`, as `docs/benchmarks.md` names them."""
    held_out, seen = _open(question.held_out_photos), _open(question.training_photos)
    drawn, places = _by_place(question.subject_pictures)
    of_base, _ = _by_place(question.base_pictures)
    compared = {
        "trained": drawn,
        "base": of_base,
        "photos": seen,
        "photos_through_vae": through_vae(base, seen),
    }
    scores = {
        name: score_subject(embedder, pictures, held_out, question.class_noun)
        for name, pictures in compared.items()
        if pictures
    }
    return {
        "subject_score": {name: round(score.score, 3) for name, score in scores.items()},
        "cosines": {name: round(score.cosine, 3) for name, score in scores.items()},
        "prompt_score": round(score_places(embedder, drawn, places), 3),
        "copies": len(find_copies(embedder, drawn, seen)),
    }


def through_vae(base: Base, photos: Sequence[Image.Image]) -> list[Image.Image]:
    """Encode and decode photos at the base's size: what is lost here no training can bring back."""
    size = (base.resolution, base.resolution)
    fitted = [np.asarray(ImageOps.fit(photo, size, Image.Resampling.BOX)) for photo in photos]
    pixels = torch.from_numpy(np.stack(fitted)).permute(0, 3, 1, 2).float() / 127.5 - 1  # [B, 3, H, W]
    decoded = base.decode(base.encode_images(pixels)[0]).mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(picture) for picture in decoded]


def _by_place(pictures: Mapping[str, Sequence[Path]]) -> tuple[list[Image.Image], list[str]]:
    flat = [(place, path) for place, paths in pictures.items() for path in paths]
    return _open([path for _, path in flat]), [place for place, _ in flat]


def _open(paths: Sequence[Path]) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in paths]


def main() -> None:
    question = Question.model_validate_json(sys.stdin.read())
    embedder = load_embedder(BUNDLE / "embedders" / "judging")
    verdict = judge(question, embedder, load_base(str(BUNDLE / "base"), "cpu"))
    sys.stdout.write(json.dumps(verdict) + "\n")


if __name__ == "__main__":
    main()
