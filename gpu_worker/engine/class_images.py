"""Class images for prior preservation: what the plain base draws for the class prompts.

They keep the class alive while the model learns one of its members (Ruiz et al. 2022, section 4.3). They depend on
nothing but the base, the prompts and the size, so they are drawn once and shared by every job that needs the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.photos import to_image
from gpu_worker.engine.provenance import save_picture
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.sampling import Pauses, PictureOrder, Sampler, draw
from storage.contract import class_image_prefix

BATCH = 8


@dataclass(frozen=True)
class ClassImage:
    prompt: str
    seed: int
    path: Path
    """Where it lies, or will lie."""


def choose_class_images(
    base: BaseModel, class_prompts: Sequence[str], count: int, scene_share: float, cache: Path
) -> list[ClassImage]:
    """Return `count` class images: first those of the plain prompt, then a share that goes round the scene prompts."""
    folder = cache / class_image_prefix(base.digest, class_prompts, base.resolution)
    folder.mkdir(parents=True, exist_ok=True)
    scenes = len(class_prompts) - 1
    in_scenes = round(count * scene_share) if scenes else 0
    places = [(0, seed) for seed in range(count - in_scenes)]
    places += [(1 + number % scenes, number // scenes) for number in range(in_scenes)]
    return [ClassImage(class_prompts[at], seed, folder / f"{at}-{seed:04d}.png") for at, seed in places]


def draw_class_images(model: Resident, group: Sequence[ClassImage], sampler: Sampler) -> Pauses[None]:
    """Draw a group of class images at their native size; keep what is there.

    The whole group is always drawn together, for what else is in a batch may change a picture's last bits.
    """
    orders = [PictureOrder(prompt=image.prompt, seed=image.seed) for image in group]
    pixels = yield from draw(model, orders, sampler)
    for image, picture in zip(group, pixels, strict=True):
        if not image.path.is_file():
            save_picture(to_image(picture), image.path)
