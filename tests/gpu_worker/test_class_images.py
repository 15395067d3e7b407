"""Class images go from the worker that drew them to the blob store, and from there to every other worker."""

from pathlib import Path

from gpu_worker.prompts import class_prompts
from gpu_worker.settings import WorkerSettings
from storage.blobs import Blobs
from storage.contract import SubjectKind, class_image_prefix
from tests.gpu_worker.house import Asker, running_worker

# The scripted engine says that its base has this digest and this size.
PREFIX = class_image_prefix("ba5e" * 16, class_prompts("dog", SubjectKind.PET), 64)


async def test_what_others_drew_is_in_the_cache_before_the_training(
    asker: Asker, settings: WorkerSettings, blobs: Blobs, tmp_path: Path
) -> None:
    await blobs.put(f"{PREFIX}/0000.png", b"drawn elsewhere")
    async with running_worker(settings):
        request = await asker.train(steps=500)
        await asker.wait_for(request.job, "started")
        assert (tmp_path / "cache" / PREFIX / "0000.png").read_bytes() == b"drawn elsewhere"


async def test_what_was_drawn_here_is_stored_once(
    asker: Asker, settings: WorkerSettings, blobs: Blobs, tmp_path: Path
) -> None:
    await blobs.put(f"{PREFIX}/0000.png", b"drawn elsewhere")
    cache = tmp_path / "cache" / PREFIX
    cache.mkdir(parents=True)
    (cache / "0000.png").write_bytes(b"drawn here")
    (cache / "0001.png").write_bytes(b"drawn here")
    (cache / ".0002.17.png").write_bytes(b"unfinished")
    async with running_worker(settings) as worker:
        request = await asker.train(steps=10)
        await asker.outcome(request.job)
        await worker.stop()
    assert await blobs.list(PREFIX) == [f"{PREFIX}/0000.png", f"{PREFIX}/0001.png"]
    assert await blobs.get(f"{PREFIX}/0000.png") == b"drawn elsewhere"
    assert await blobs.get(f"{PREFIX}/0001.png") == b"drawn here"
