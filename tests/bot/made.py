"""Finished trainings and pictures, made as a worker makes them: real blobs, and real events in the rows."""

import io
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from PIL import Image as Picture
from PIL import ImageDraw
from simcord.actors import MemberActor

from storage.contract import (
    Adapter,
    Done,
    Imagined,
    Quality,
    RunnerUp,
    Started,
    SubjectKind,
    Trained,
    Variant,
    adapter_key,
    checkpoint_key,
    download_key,
    photo_key,
    picture_key,
    sample_key,
    variant_name,
)
from storage.contract import Picture as MadePicture
from storage.schema import Job, Model
from storage.sharing import share_model
from storage.trainings import NewPhoto, NewTraining, accept_training
from tests.bot.conftest import BASE, World

SIDE = 64


def png(seed: int = 0) -> bytes:
    """A picture of the demo base's size."""
    picture = Picture.new("RGB", (SIDE, SIDE), (40, 40 + seed * 31 % 160, 120))
    ImageDraw.Draw(picture).ellipse((12, 16, 50, 54), fill=(190, 130, 60))
    packed = io.BytesIO()
    picture.save(packed, "PNG")
    return packed.getvalue()


async def begun(world: World, owner: MemberActor, name: str = "rex", class_noun: str = "dog") -> Job:
    """Accept a training, its photos in place, that no worker has taken yet."""
    job, photos = uuid4().hex, []
    for position in range(3):
        key = photo_key(job, position)
        digest = await world.services.blobs.put(key, png(position))
        photos.append(NewPhoto(key=key, sha256=digest, width=SIDE, height=SIDE))
    new = NewTraining(
        job=job,
        model=uuid4().hex,
        interaction_id=int(job[:12], 16),
        owner_id=owner.id,
        guild_id=world.guild.id,
        channel_id=world.channel.id,
        name=name,
        class_noun=class_noun,
        subject_kind=SubjectKind.PET,
        quality=Quality.FAST,
        photos=tuple(photos),
        base=BASE,
        seed=1,
    )
    async with world.services.database.write() as session:
        return await accept_training(session, new, world.clock())


async def trained(
    world: World,
    owner: MemberActor,
    name: str = "rex",
    class_noun: str = "dog",
    *,
    shared_with: int | None = None,
    file: bytes = b"weights",
    runners_up: Sequence[Variant] = (),
) -> Model:
    """Train a model to its end."""
    job = await begun(world, owner, name, class_noun)
    model, blobs = str(job.model_id), world.services.blobs
    await blobs.put(sample_key(job.id, 1, "step-100"), png(len(name)))
    await blobs.put(checkpoint_key(job.id, 1, 100), file)
    await world.apply(Started, job.id, worker="w", steps=200)
    best = await publication(world, job, Variant.BEST, file, 0.83)
    others = [
        RunnerUp(variant=variant, **await publication(world, job, variant, variant.encode(), 0.9))
        for variant in runners_up
    ]
    await world.apply(Done, job.id, seconds=90, trained=Trained(steps=200, runners_up=tuple(others), **best))
    async with world.services.database.write() as session:
        if shared_with is not None:
            await share_model(session, model, owner.id, shared_with)
        return await session.get_one(Model, model)


async def publication(world: World, job: Job, variant: Variant, file: bytes, score: float) -> dict[str, Any]:
    """Store an adapter of a training, and return what a worker tells of it."""
    model, blobs = str(job.model_id), world.services.blobs
    adapter, download = adapter_key(model, job.id, 1, variant), download_key(model, job.id, 1, variant)
    sample = sample_key(job.id, 1, f"{variant_name('final', variant)}-0")
    await blobs.put(sample, png(list(Variant).index(variant)))
    return {
        "adapter": Adapter(model=model, key=adapter, digest=await blobs.put(adapter, file)),
        "adapter_bytes": len(file),
        "download": download,
        "download_digest": await blobs.put(download, file),
        "subject_score": score,
        "samples": (MadePicture(key=sample, seed=1, width=SIDE, height=SIDE),),
    }


async def drawn(world: World, job: Job, scores: Sequence[float] = ()) -> None:
    """Let a worker draw what the job asks for, and score each picture where there are `scores`."""
    await world.apply(Started, job.id, worker="w", steps=20)
    pictures = []
    for position in range(job.request["count"]):
        key = picture_key(job.id, 1, position)
        await world.services.blobs.put(key, png(position))
        score = scores[position] if scores else None
        pictures.append(MadePicture(key=key, seed=job.request["seed"] + position, width=SIDE, height=SIDE, score=score))
    await world.apply(Done, job.id, seconds=2, imagined=Imagined(pictures=tuple(pictures)))
