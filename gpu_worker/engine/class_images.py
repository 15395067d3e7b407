"""Class images for prior preservation: what the plain base draws for the class prompts.

They keep the class alive while the model learns one of its members (Ruiz et al. 2022, section 4.3). They depend on
nothing but the base, the prompt and the size, so they are drawn once and shared by every job that needs the same.
"""

import hashlib
from pathlib import Path

from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.photos import to_image
from gpu_worker.engine.provenance import save_picture
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import Pauses, PictureOrder, Sampler, draw
from storage.contract import class_image_prefix

BATCH = 8


def class_image_paths(base: BaseModel, prompt: str, count: int, cache: Path) -> list[Path]:
    """Return where the class images for `prompt` lie or will lie: one for each seed 0..count-1."""
    prompt_digest = hashlib.sha256(prompt.encode()).hexdigest()
    folder = cache / class_image_prefix(base.digest, prompt_digest, base.resolution)
    folder.mkdir(parents=True, exist_ok=True)
    return [folder / f"{seed:04d}.png" for seed in range(count)]


def draw_class_images(model: Resident, prompt: str, paths: list[Path], sampler: Sampler) -> Pauses[None]:
    """Draw a group of class images at their native size, each with the seed that its path names; keep what is there.

    The whole group is always drawn together, for what else is in a batch may change a picture's last bits.
    """
    orders = [PictureOrder(prompt=prompt, seed=int(path.stem)) for path in paths]
    pixels = yield from draw(model, orders, sampler)
    for path, picture in zip(paths, pixels, strict=True):
        if not path.is_file():
            save_picture(to_image(picture), path)
