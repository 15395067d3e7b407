"""The tiny base and its photos, for what is measured is the engine."""

from pathlib import Path

import pytest
from PIL import Image

from benchmarks.peer_dreambooth import Pictures
from benchmarks.training import CLASS_PROMPT, PROMPT, Bench
from gpu_worker.engine.base_model import BaseModel
from tests.gpu_worker.engine.conftest import base, base_folder, model, photos

__all__ = ["base", "base_folder", "model", "photos"]


@pytest.fixture
def bench(base: BaseModel, photos: tuple[Path, ...], tmp_path: Path) -> Bench:
    """Photos of the base's own size, of which a random square is always the same."""
    paths = []
    for number, path in enumerate(photos):
        with Image.open(path) as photo:
            paths.append(tmp_path / f"{number}.png")
            photo.resize((base.resolution, base.resolution)).save(paths[-1])
    return Bench(base, Pictures(base, paths[:2], paths[1:], PROMPT, CLASS_PROMPT))
