"""Bytes between the blob store and a job's folder: what the engine reads, and what it leaves.

The engine sees local paths alone. Every file that has a digest is checked against it on its way in.
"""

import logging
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from gpu_worker.pipe import Checkpointed, Imagine, ImaginingDone, PictureFile, Publication, Sampled, Train, TrainingDone
from gpu_worker.shelf import Shelf
from storage.blobs import BlobMissing, Blobs
from storage.contract import (
    Adapter,
    BlobKey,
    Digest,
    FailureReason,
    Imagined,
    ImagineRequest,
    Picture,
    RunnerUp,
    Trained,
    TrainRequest,
    Variant,
    adapter_key,
    checkpoint_key,
    download_key,
    picture_key,
    sample_key,
    variant_name,
)
from storage.faults import reach

log = logging.getLogger(__name__)

Request = TrainRequest | ImagineRequest

CHECKPOINTS_KEPT = 2
"""The newest, and the one before for the case that it is damaged."""


class CannotFetch(Exception):
    """Something that the job needs is missing or damaged."""

    def __init__(self, reason: FailureReason, key: BlobKey) -> None:
        super().__init__(f"{reason.value}: {key}")
        self.reason = reason


class CheckpointManifest(BaseModel):
    """Stands beside a checkpoint and is written after it, so that a checkpoint with a manifest is whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    digest: Digest


async def fetch_training(blobs: Blobs, request: TrainRequest, folder: Path) -> Train:
    """Bring the photos and the newest checkpoint of an earlier attempt; raises `CannotFetch`."""
    photos = [folder / f"photo-{position:02d}{Path(key).suffix}" for position, key in enumerate(request.photos)]
    for key, path in zip(request.photos, photos, strict=True):
        try:
            await blobs.get_file(key, path)
        except BlobMissing as error:
            raise CannotFetch(FailureReason.PHOTOS_MISSING, key) from error
    checkpoint = await _fetch_newest_checkpoint(blobs, request, folder)
    return Train(request=request, photos=tuple(photos), checkpoint=checkpoint, folder=_engine_folder(folder))


async def fetch_imagining(shelf: Shelf, blobs: Blobs, request: ImagineRequest, folder: Path) -> Imagine:
    """Bring the models' adapters and the picture to work on; raises `CannotFetch`."""
    adapter = None
    if request.adapter is not None:
        adapter = await _fetch_adapter(shelf, request.adapter, folder / "adapter.safetensors")
    subjects = [
        await _fetch_adapter(shelf, subject.adapter, folder / f"subject-{place}.safetensors")
        for place, subject in enumerate(request.subjects)
    ]
    source = mask = None
    if request.source is not None:
        source = await _fetch_picture(blobs, request.source.key, folder / "source")
    if request.source is not None and request.source.mask is not None:
        mask = await _fetch_picture(blobs, request.source.mask, folder / "mask")
    return Imagine(
        request=request,
        adapter=adapter,
        subjects=tuple(subjects),
        source=source,
        mask=mask,
        folder=_engine_folder(folder),
    )


async def _fetch_adapter(shelf: Shelf, adapter: Adapter, path: Path) -> Path:
    try:
        digest = await shelf.bring(adapter, path)
    except BlobMissing as error:
        raise CannotFetch(FailureReason.MODEL_MISSING, adapter.key) from error
    if digest != adapter.digest:
        raise CannotFetch(FailureReason.MODEL_CORRUPT, adapter.key)
    return path


async def _fetch_picture(blobs: Blobs, key: BlobKey, path: Path) -> Path:
    try:
        await blobs.get_file(key, path)
    except BlobMissing as error:
        raise CannotFetch(FailureReason.PICTURE_MISSING, key) from error
    return path


async def store_sample(blobs: Blobs, request: Request, report: Sampled) -> BlobKey:
    key = sample_key(request.job, request.attempt, f"{report.step:06d}")
    await blobs.put_file(key, report.path)
    return key


async def store_checkpoint(blobs: Blobs, request: Request, report: Checkpointed) -> BlobKey:
    key = checkpoint_key(request.job, request.attempt, report.step)
    await blobs.put_file(key, report.path)
    reach("checkpoint.stored")
    await blobs.put(_manifest_key(key), CheckpointManifest(digest=report.digest).model_dump_json().encode())
    reach("checkpoint.vouched")
    for older in (await _whole_checkpoints(blobs, request))[CHECKPOINTS_KEPT:]:
        await blobs.delete(_manifest_key(older))  # first: what has no manifest is nobody's to read
        await blobs.delete(older)
    return key


async def store_result(blobs: Blobs, request: Request, done: TrainingDone | ImaginingDone) -> Trained | Imagined:
    """Store what the job was for; raises `TypeError` when the engine answered with the other kind of result."""
    if isinstance(request, TrainRequest) and isinstance(done, TrainingDone):
        return await _store_trained(blobs, request, done)
    if isinstance(request, ImagineRequest) and isinstance(done, ImaginingDone):
        keys = [
            picture_key(request.job, request.attempt, position, file.path.suffix)
            for position, file in enumerate(done.pictures)
        ]
        return Imagined(pictures=await _store_pictures(blobs, keys, done.pictures))
    raise TypeError(f"{done.op} is no answer to a request to {request.kind.value}")


async def drop_result(blobs: Blobs, request: Request) -> None:
    """Delete what `store_result` stored."""
    if isinstance(request, TrainRequest):
        await drop(blobs, f"models/{request.model}/{request.job}/{request.attempt}")
    else:
        await drop(blobs, f"pictures/{request.job}/{request.attempt}")


async def drop(blobs: Blobs, prefix: str) -> None:
    """Delete every blob under `prefix`."""
    for key in await blobs.list(prefix):
        await blobs.delete(key)


async def _store_trained(blobs: Blobs, request: TrainRequest, done: TrainingDone) -> Trained:
    runners_up = [
        RunnerUp(variant=each.variant, **await _store_publication(blobs, request, each, each.variant))
        for each in done.runners_up
    ]
    best = await _store_publication(blobs, request, done, Variant.BEST)
    return Trained(steps=done.steps, runners_up=tuple(runners_up), **best)


async def _store_publication(
    blobs: Blobs, request: TrainRequest, made: Publication, variant: Variant
) -> dict[str, Any]:
    """Store an adapter with its download and samples; return the fields that tell of it."""
    key = adapter_key(request.model, request.job, request.attempt, variant)
    download = download_key(request.model, request.job, request.attempt, variant)
    stem = variant_name("final", variant)
    sample_keys = [sample_key(request.job, request.attempt, f"{stem}-{n}") for n in range(len(made.samples))]
    return {
        "adapter": Adapter(model=request.model, key=key, digest=await blobs.put_file(key, made.adapter)),
        "adapter_bytes": made.adapter.stat().st_size,
        "download": download,
        "download_digest": await blobs.put_file(download, made.download),
        "subject_score": made.subject_score,
        "findings": made.findings,
        "samples": await _store_pictures(blobs, sample_keys, made.samples),
    }


async def _store_pictures(blobs: Blobs, keys: list[BlobKey], files: tuple[PictureFile, ...]) -> tuple[Picture, ...]:
    for key, file in zip(keys, files, strict=True):
        await blobs.put_file(key, file.path)
        reach("picture.stored")
    return tuple(
        Picture(key=key, seed=file.seed, width=file.width, height=file.height, score=file.score)
        for key, file in zip(keys, files, strict=True)
    )


async def _checkpoint_blobs(blobs: Blobs, job: str, attempt: int) -> list[BlobKey]:
    """Return every blob of the checkpoints of this attempt and of earlier ones."""
    keys = await blobs.list(f"checkpoints/{job}")
    return [key for key in keys if int(key.split("/")[2]) <= attempt]


async def _whole_checkpoints(blobs: Blobs, request: Request) -> list[BlobKey]:
    """Return the checkpoints that have their manifests, that with the most steps first."""
    keys = set(await _checkpoint_blobs(blobs, request.job, request.attempt))
    whole = [key for key in keys if _manifest_key(key) in keys]
    return sorted(whole, key=lambda key: Path(key).name, reverse=True)


async def _fetch_newest_checkpoint(blobs: Blobs, request: TrainRequest, folder: Path) -> Path | None:
    """Return the checkpoint with the most steps that matches its digest, if any."""
    path, job = folder / "checkpoint.safetensors", request.job
    for key in await _whole_checkpoints(blobs, request):
        try:
            manifest = CheckpointManifest.model_validate_json(await blobs.get(_manifest_key(key)))
            if await blobs.get_file(key, path) == manifest.digest:
                log.info("job %s goes on from step %s", job, Path(key).stem)
                return path
        except (BlobMissing, ValidationError):
            pass
        log.warning("job %s: a checkpoint does not match its digest and is left out", job)
    return None


def _manifest_key(checkpoint: BlobKey) -> BlobKey:
    return f"{checkpoint}.json"


def _engine_folder(folder: Path) -> Path:
    path = folder / "engine"
    path.mkdir(exist_ok=True)
    return path
