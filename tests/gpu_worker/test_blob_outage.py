"""A blob store that fails: while checkpoints are stored, while the result is, and what cancelling does meanwhile."""

import asyncio
from pathlib import Path

import pytest

from gpu_worker import patience
from gpu_worker.pipe import Checkpointed
from gpu_worker.saver import Saver
from gpu_worker.settings import WorkerSettings
from gpu_worker.transfer import fetch_training, store_checkpoint
from storage.blobs import Blobs
from storage.contract import Cancelled, Done, Failed, FailureReason, TrainRequest, cancel_key
from tests.gpu_worker.house import Asker, plan_training, running_worker
from tests.waiting import until


def block(folder: Path, prefix: str) -> Path:
    """Put a file where the store needs a folder: everything below it fails."""
    obstacle = folder / "blobs" / prefix
    obstacle.write_bytes(b"")
    return obstacle


async def logged(caplog: pytest.LogCaptureFixture, words: str) -> None:
    async def is_there() -> bool:
        return words in caplog.text

    await until(is_there)


async def test_a_result_is_stored_once_the_store_is_back(
    asker: Asker, settings: WorkerSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    obstacle = block(tmp_path, "models")
    async with running_worker(settings):
        request = await asker.train(steps=10)
        await logged(caplog, "trying again")
        obstacle.unlink()
        assert isinstance(await asker.outcome(request.job), Done)


async def test_a_store_that_stays_away_leaves_the_job_to_the_next_attempt(
    asker: Asker, settings: WorkerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blobs: Blobs
) -> None:
    monkeypatch.setattr(patience, "RETRY_SECONDS", 0.5)
    block(tmp_path, "models")
    async with running_worker(settings):
        request = await asker.train(steps=20)
        failed = await asker.outcome(request.job)
    assert isinstance(failed, Failed)
    assert failed.reason is FailureReason.ENGINE_DIED
    assert failed.retry
    assert await blobs.list(f"checkpoints/{request.job}") != []  # to go on from


async def test_a_job_cancelled_while_its_result_is_stored_is_cancelled(
    asker: Asker, settings: WorkerSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    block(tmp_path, "pictures")
    async with running_worker(settings):
        request = await asker.imagine()
        await logged(caplog, "trying again")
        await asker.redis.set(cancel_key(request.job), "1")
        assert isinstance(await asker.outcome(request.job), Cancelled)


async def test_without_its_checkpoints_and_samples_a_training_goes_on(
    asker: Asker, settings: WorkerSettings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    obstacles = [block(tmp_path, "samples")]
    async with running_worker(settings):
        request = await asker.train(steps=100)
        await asker.wait_for(request.job, "started")
        obstacles.append(block(tmp_path, "checkpoints"))
        for what in ("the checkpoint of step", "the sample of step"):
            await logged(caplog, what)
        for obstacle in obstacles:
            obstacle.unlink()
        assert isinstance(await asker.outcome(request.job), Done)
    assert "trying again" not in caplog.text


def saved(folder: Path, request: TrainRequest, step: int) -> Checkpointed:
    path = folder / f"{step}.checkpoint"
    path.write_text(str(step), encoding="utf-8")
    return Checkpointed(job=request.job, step=step, path=path, digest="0" * 64)


async def test_two_checkpoints_are_kept_and_those_of_a_later_attempt_are_left_alone(
    blobs: Blobs, tmp_path: Path
) -> None:
    first = plan_training(steps=10)
    second = first.model_copy(update={"attempt": 2})
    later = await store_checkpoint(blobs, second, saved(tmp_path, second, 1))
    stored = [await store_checkpoint(blobs, first, saved(tmp_path, first, step)) for step in (5, 10, 15)]
    kept = await blobs.list(f"checkpoints/{first.job}")
    assert [key.rsplit("/", 2)[1:] for key in kept if not key.endswith(".json")] == [
        ["1", "000010.safetensors"],
        ["1", "000015.safetensors"],
        ["2", "000001.safetensors"],
    ]
    assert kept[2] == stored[-1]
    assert later in kept


async def test_a_torn_checkpoint_is_left_out_for_the_one_before(blobs: Blobs, tmp_path: Path) -> None:
    request = plan_training(steps=10)
    for key in request.photos:
        await blobs.put(key, b"photo")
    key = ""
    for step in (5, 10, 15):
        report = saved(tmp_path, request, step)
        digest = await blobs.put("samples/a/b.png", report.path.read_bytes())
        key = await store_checkpoint(blobs, request, report.model_copy(update={"digest": digest}))
    await blobs.delete(f"{key}.json")  # as if killed between the two
    await blobs.put(key.replace("000015", "000010"), b"1")
    assert (await fetch_training(blobs, request, tmp_path)).checkpoint is None
    await blobs.put(key.replace("000015", "000010"), b"10")
    order = await fetch_training(blobs, request, tmp_path)
    assert order.checkpoint is not None
    assert order.checkpoint.read_text(encoding="utf-8") == "10"


async def test_of_checkpoints_that_wait_only_the_newest_is_stored(tmp_path: Path) -> None:
    request, stored, slow = plan_training(steps=10), [], asyncio.Event()

    async def store(report: Checkpointed) -> None:
        await slow.wait()
        stored.append(report.step)

    saver = Saver(store)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(saver.run())
        saver.offer(saved(tmp_path, request, 1))
        await asyncio.sleep(0)
        for step in (2, 3):
            saver.offer(saved(tmp_path, request, step))
        slow.set()
        await saver.finish()
        saver.offer(saved(tmp_path, request, 4))
        await saver.give_up()
        running.cancel()
    assert stored == [1, 3]
