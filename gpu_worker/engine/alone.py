"""The engine on its own, without bot or worker: train on a folder of photos, draw with the result."""

import argparse
import secrets
import sys
import uuid

from gpu_worker import pipe
from gpu_worker.engine.adapters import file_digest
from gpu_worker.engine.loading import load_resident
from gpu_worker.engine.photos import PhotoMissing
from gpu_worker.engine.studio import Studio
from gpu_worker.engine.training_job import train
from storage.contract import MAX_PHOTOS, MAX_SEED, MIN_PHOTOS, Adapter, ImagineRequest, TrainingOptions, TrainRequest

PHOTO_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


def train_folder(arguments: argparse.Namespace) -> None:
    photos = tuple(sorted(path for path in arguments.photos.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES))
    if not MIN_PHOTOS <= len(photos) <= MAX_PHOTOS:
        raise PhotoMissing(f"{arguments.photos} holds {len(photos)} photos; {MIN_PHOTOS} to {MAX_PHOTOS} are needed")
    arguments.out.mkdir(parents=True, exist_ok=True)
    job = uuid.uuid4().hex
    request = TrainRequest(
        job=job,
        attempt=1,
        model=job,
        base="local",
        identifier=arguments.identifier,
        class_noun=arguments.class_noun,
        subject_kind=arguments.kind,
        quality=arguments.quality,
        photos=tuple(f"photos/local/{place}.png" for place in range(len(photos))),
        options=TrainingOptions(**{name: getattr(arguments, name) for name in TrainingOptions.model_fields}),
        class_agreed=True,  # nobody waits to be asked
        seed=arguments.seed,
    )
    order = pipe.Train(request=request, photos=photos, folder=arguments.out)
    for report in train(load_resident(arguments), order, arguments.cache):
        if isinstance(report, pipe.Frame):
            _show(report)


def generate(arguments: argparse.Namespace) -> None:
    arguments.out.mkdir(parents=True, exist_ok=True)
    job = uuid.uuid4().hex
    adapter = None
    if arguments.adapter:
        adapter = Adapter(model=job, key="models/local", digest=file_digest(arguments.adapter))
    request = ImagineRequest(
        job=job,
        attempt=1,
        base="local",
        prompt=arguments.prompt,
        negative_prompt=arguments.negative,
        adapter=adapter,
        count=arguments.count,
        seed=secrets.randbelow(MAX_SEED + 1) if arguments.seed is None else arguments.seed,
        steps=arguments.steps,
        guidance_scale=arguments.guidance,
        quality=arguments.quality,
    )
    order = pipe.Imagine(request=request, adapter=arguments.adapter, folder=arguments.out)
    studio = Studio(load_resident(arguments), _show, _give_up)
    studio.take(order)
    while studio.busy:
        if studio.has_steps:
            studio.draw(studio.choose())
        studio.hand_over(patient=not studio.has_steps)


def _show(report: pipe.Frame) -> None:
    """Print a report as a line of JSON."""
    sys.stdout.write(report.model_dump_json(exclude={"job"}) + "\n")
    sys.stdout.flush()


def _give_up(_job: str, problem: Exception) -> None:
    raise problem
