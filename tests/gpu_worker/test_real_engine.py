"""The whole GPU side as it is deployed: `python -m gpu_worker`, the real queue and the real engine on a tiny base."""

import asyncio
import io
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image

from storage.blobs import Blobs
from storage.contract import Done, Imagined, Started, Trained, TrainRequest, photo_key
from tests.gpu_worker.engine.conftest import tiny_pipeline
from tests.gpu_worker.house import Asker, plan_training

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PATIENCE_SECONDS = 240  # the engine's start alone takes a minute on a busy machine


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "demo"
    tiny_pipeline().save_pretrained(folder)
    return folder


@asynccontextmanager
async def worker(redis_url: str, blobs: Path, cache: Path, base: Path) -> AsyncIterator[Process]:
    settings = {
        "REDIS_URL": redis_url,
        "BLOB_URL": str(blobs),
        "CACHE_DIR": str(cache),
        "BASE_MODEL": str(base),
        "DEVICE": "cpu",
        "THREADS": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gpu_worker", env={**os.environ, **settings}, stdin=DEVNULL
    )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def train(asker: Asker, *, steps: int) -> TrainRequest:
    """Ask for a training on three photos of coloured squares."""
    request = plan_training(steps=steps)
    for position, colour in enumerate(["red", "green", "blue"]):
        png = io.BytesIO()
        Image.new("RGB", (48, 64), colour).save(png, "PNG")
        await asker.blobs.put(photo_key(request.job, position), png.getvalue())
    await asker.send(request)
    return request


async def trained(asker: Asker, request: TrainRequest) -> Trained:
    done = await asker.wait_for(request.job, "done", "failed", "cancelled", seconds=PATIENCE_SECONDS)
    assert isinstance(done, Done), done
    assert done.trained is not None
    return done.trained


async def imagined(asker: Asker, model: Trained) -> Imagined:
    request = await asker.imagine("a photo of sks dog on the moon", steps=4, count=2, adapter=model.adapter)
    done = await asker.wait_for(request.job, "done", "failed", "cancelled", seconds=PATIENCE_SECONDS)
    assert isinstance(done, Done), done
    assert done.imagined is not None
    return done.imagined


async def test_a_subject_is_learned_and_drawn(
    asker: Asker, blobs: Blobs, redis_url: str, base_folder: Path, tmp_path: Path
) -> None:
    async with worker(redis_url, tmp_path / "blobs", tmp_path / "cache", base_folder):
        request = await train(asker, steps=12)
        model = await trained(asker, request)
        pictures = await imagined(asker, model)

    assert model.steps == 12
    assert len(await blobs.get(model.adapter.key)) == model.adapter_bytes
    for picture in (*model.samples, *pictures.pictures):
        with Image.open(io.BytesIO(await blobs.get(picture.key))) as opened:
            assert opened.size == (picture.width, picture.height)
    drawn = await blobs.list("class-images")
    assert drawn

    async with worker(redis_url, tmp_path / "blobs", tmp_path / "another cache", base_folder):
        following = await train(asker, steps=10)
        await trained(asker, following)
    assert await blobs.list("class-images") == drawn
    stages = {event.stage for event in await asker.events(following.job) if event.kind == "step"}
    assert "class_images" not in stages  # they came from the blob store


async def test_a_training_moves_to_another_worker_and_goes_on(
    asker: Asker, blobs: Blobs, redis_url: str, base_folder: Path, tmp_path: Path
) -> None:
    async with worker(redis_url, tmp_path / "blobs", tmp_path / "cache", base_folder):
        request = await train(asker, steps=150)
        step = await asker.wait_for(request.job, "step", stage="training", seconds=PATIENCE_SECONDS)
        assert step.kind == "step"
    handed_over = (await asker.events(request.job))[-1]
    assert handed_over.kind == "saved"
    assert handed_over.step >= step.step

    async with worker(redis_url, tmp_path / "blobs", tmp_path / "cache", base_folder):
        await trained(asker, request)
    events = await asker.events(request.job)
    assert len({event.worker for event in events if isinstance(event, Started)}) == 2
    later = [
        event.step
        for event in events
        if event.kind == "step" and event.seq > handed_over.seq and event.stage == "training"
    ]
    assert min(later) > handed_over.step
