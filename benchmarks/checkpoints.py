"""What being able to go on costs: how long a checkpoint takes, how large it is, and how many steps a dead worker loses.

The demo base's own recipe on random latents, for what the photos show makes no difference. A killed worker loses at
most the steps since the last checkpoint; how many those are follows from the interval that the figures give.
"""

import json
import math
import statistics
import tempfile
import time
import uuid
from pathlib import Path

import torch

import gpu_worker
from gpu_worker import pipe
from gpu_worker.engine.base_files import load_base
from gpu_worker.engine.base_model import BaseModel
from gpu_worker.engine.choosing import Score
from gpu_worker.engine.course import CHECKPOINT_SECONDS, CHECKPOINT_SHARE, Course, go_back, save
from gpu_worker.engine.examples import Examples, Latents
from gpu_worker.engine.finalists import Candidate
from gpu_worker.engine.recipes import choose_recipe
from gpu_worker.engine.resident import Resident
from gpu_worker.engine.training import DreamBooth
from storage.contract import Quality, SubjectKind, TrainRequest, Variant

BASE = Path(gpu_worker.__file__).parent / "demo_bundle" / "base"
PHOTOS, ROUNDS, STEPS_A_ROUND = 6, 5, 2


def random_latents(base: BaseModel, count: int, views: int) -> Latents:
    side = base.resolution // base.pixels_per_latent
    mean = torch.randn(count, views, base.vae.config["latent_channels"], side, side, device=base.device)
    return Latents(mean, torch.full_like(mean, 0.1))


def begin(model: Resident, folder: Path) -> tuple[Course, DreamBooth]:
    recipe = choose_recipe(model.base.family, SubjectKind.PET, Quality.GOOD, PHOTOS)
    photos = Examples(random_latents(model.base, PHOTOS, 14), [["a photo of sks dog"]] * PHOTOS)
    of_class = random_latents(model.base, recipe.class_images, 1)
    classes = Examples(of_class, [["a photo of a dog"]] * recipe.class_images)
    trainer = DreamBooth(model, recipe, [photos], [classes], identifier="sks", seed=1)
    job = uuid.uuid4().hex
    request = TrainRequest(
        job=job,
        attempt=1,
        model=job,
        base="demo",
        identifier="sks",
        class_noun="dog",
        subject_kind=SubjectKind.PET,
        quality=Quality.GOOD,
        photos=tuple(f"photos/{job}/{place}.png" for place in range(PHOTOS)),
        seed=1,
    )
    order = pipe.Train(request=request, photos=(), folder=folder)
    return Course(order, recipe, [], "0" * 64, None), trainer


def timed_steps(course: Course, trainer: DreamBooth, count: int) -> list[float]:
    seconds = []
    for _ in range(count):
        began = time.perf_counter()
        course.unread.append(trainer.step())
        course.read_losses(trainer)  # waits for the device
        seconds.append(time.perf_counter() - began)
    return seconds


def measure(model: Resident, folder: Path) -> dict[str, object]:
    course, trainer = begin(model, folder)
    timed_steps(course, trainer, 2)
    scored = Score(likeness=0, adherence=0, copied=0, repeated=0, drift=0)
    for place, variant in enumerate(Variant):  # three different finalists, the most that there can be
        course.finalists[variant] = Candidate(place, scored, trainer.trained())
    steps, saves, size = [], [], 0
    for _ in range(ROUNDS):
        steps += timed_steps(course, trainer, STEPS_A_ROUND)
        report = save(course, trainer)
        if report is None:
            raise RuntimeError("there is no room for a checkpoint")
        saves.append(course.save_seconds)
        size = report.path.stat().st_size
    began = time.perf_counter()
    go_back(course, trainer)
    restore = time.perf_counter() - began
    step, saving = statistics.median(steps), statistics.median(saves)
    interval = max(CHECKPOINT_SECONDS, saving / CHECKPOINT_SHARE)
    return {
        "step_seconds": round(step, 4),
        "save_seconds": round(saving, 4),
        "restore_seconds": round(restore, 4),
        "checkpoint_mb": round(size / 1e6, 2),
        "interval_seconds": round(interval, 1),
        "saving_share": round(saving / interval, 5),
        "lost_steps_at_most": math.ceil(interval / step) + 1,
        "training_steps": course.recipe.steps,
    }


def main() -> None:
    model = Resident(load_base(str(BASE)))
    about = {"device": str(model.base.device), "torch": torch.__version__, "threads": torch.get_num_threads()}
    with tempfile.TemporaryDirectory() as folder:
        result = measure(model, Path(folder))
    print(json.dumps(about | {"base": "demo", "sizes": {"photos": PHOTOS, "rounds": ROUNDS}} | result))


if __name__ == "__main__":
    main()
