"""A job's way through a worker: the real queue, the real processes, a scripted engine."""

import asyncio
import hashlib
from pathlib import Path

from gpu_worker.settings import WorkerSettings
from storage.blobs import Blobs
from storage.contract import (
    Cancelled,
    Done,
    Failed,
    FailureReason,
    JobKind,
    Variant,
    cancel_key,
    lease_key,
    request_key,
    worker_key,
)
from storage.worker_status import WorkerStatus, status_key
from tests.gpu_worker.house import Asker, running_worker, worker_settings

KEPT = {".lock", "models"}
"""What stays in a worker's folder between two jobs."""


async def test_a_training_is_told_from_start_to_end(asker: Asker, settings: WorkerSettings, blobs: Blobs) -> None:
    async with running_worker(settings):
        request = await asker.train(steps=20)
        done = await asker.outcome(request.job)

        events = await asker.events(request.job)
        kinds = [event.kind for event in events]
        assert kinds[:3] == ["queued", "started", "step"]
        assert kinds[-1] == "done"
        assert kinds.count("sample") == 4
        assert 1 <= kinds.count("saved") <= 4  # of those that wait only the newest is stored
        numbers = [event.seq for event in events]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

        assert isinstance(done, Done)
        assert done.trained is not None
        adapter = await blobs.get(done.trained.adapter.key)
        assert hashlib.sha256(adapter).hexdigest() == done.trained.adapter.digest
        assert done.trained.adapter_bytes == len(adapter)
        assert await blobs.get(done.trained.download) == b"download"
        assert (await blobs.get(done.trained.samples[0].key)).startswith(b"\x89PNG")
        (freer,) = done.trained.runners_up
        assert freer.variant is Variant.FREE
        assert hashlib.sha256(await blobs.get(freer.adapter.key)).hexdigest() == freer.adapter.digest
        assert await blobs.get(freer.download) == b"a freer one"
        keys = list(done.trained.keys())
        assert len(keys) == len(set(keys)) == len([key for key in keys if await blobs.exists(key)]) == 6


async def test_an_ended_job_leaves_nothing_behind(asker: Asker, settings: WorkerSettings, tmp_path: Path) -> None:
    async with running_worker(settings):
        request = await asker.train(steps=10)
        await asker.outcome(request.job)
        await asyncio.sleep(0.5)

        assert await asker.redis.exists(lease_key(request.job, 1), request_key(request.job, 1)) == 0
        assert await asker.queued(JobKind.TRAIN) == 0
        assert [path.name for path in (tmp_path / "cache" / "jobs").glob("*/*") if path.name not in KEPT] == []
    assert list((tmp_path / "cache" / "jobs").iterdir()) == []


async def test_steps_are_told_once_a_second_at_most(asker: Asker, settings: WorkerSettings) -> None:
    async with running_worker(settings):
        request = await asker.train(steps=100)
        await asker.outcome(request.job)
    steps = [event for event in await asker.events(request.job) if event.kind == "step"]
    assert 2 <= len(steps) <= 6


async def test_a_picture_is_drawn_while_somebody_trains(asker: Asker, settings: WorkerSettings, blobs: Blobs) -> None:
    async with running_worker(settings):
        training = await asker.train(steps=100)
        await asker.wait_for(training.job, "started")
        request = await asker.imagine(count=3)
        done = await asker.outcome(request.job)
        assert isinstance(done, Done)
        assert done.imagined is not None
        assert [picture.seed for picture in done.imagined.pictures] == [7, 8, 9]
        for picture in done.imagined.pictures:
            assert (await blobs.get(picture.key)).startswith(b"\x89PNG")
        assert not any(event.kind == "done" for event in await asker.events(training.job))
        await asker.outcome(training.job)


async def test_a_task_without_its_request_is_let_go(asker: Asker, settings: WorkerSettings) -> None:
    async with running_worker(settings):
        request = await asker.train()
        await asker.outcome(request.job)
        before = await asker.events(request.job)
        await asyncio.sleep(0.3)
        await asker.redis.delete(*await asker.redis.keys("arq:result:*"))
        await asker.poke(request)
        after = await asker.imagine()
        await asker.outcome(after.job)
        assert await asker.queued(JobKind.TRAIN) == 0
        assert await asker.events(request.job) == before


async def test_photos_that_are_gone_end_the_job(asker: Asker, settings: WorkerSettings) -> None:
    async with running_worker(settings):
        request = await asker.train(photos=2)
        failed = await asker.outcome(request.job)
    assert isinstance(failed, Failed)
    assert failed.reason is FailureReason.PHOTOS_MISSING
    assert not failed.retry


async def test_a_doubtful_class_is_told_and_not_tried_again(asker: Asker, settings: WorkerSettings) -> None:
    async with running_worker(settings):
        request = await asker.train(class_noun="doubtful")
        failed = await asker.outcome(request.job)
    assert isinstance(failed, Failed)
    assert (failed.reason, failed.seen_class, failed.retry) == (FailureReason.CLASS_DOUBTFUL, "cat", False)


async def test_a_request_of_another_version_is_refused(asker: Asker, settings: WorkerSettings) -> None:
    request = await asker.imagine()
    await asker.write(request, request.model_dump_json().replace('"v":1', '"v":2'))
    async with running_worker(settings):
        failed = await asker.outcome(request.job)
    assert isinstance(failed, Failed)
    assert failed.reason is FailureReason.UPGRADE


async def test_a_job_cancelled_while_queued_never_reaches_the_engine(asker: Asker, settings: WorkerSettings) -> None:
    request = await asker.train()
    await asker.redis.set(cancel_key(request.job), "1")
    async with running_worker(settings):
        assert isinstance(await asker.outcome(request.job), Cancelled)
    assert [event.kind for event in await asker.events(request.job)] == ["cancelled"]


async def test_a_running_training_is_cancelled_within_a_second(
    asker: Asker, settings: WorkerSettings, blobs: Blobs
) -> None:
    async with running_worker(settings):
        request = await asker.train(steps=2000)
        await asker.wait_for(request.job, "saved")
        await asker.redis.set(cancel_key(request.job), "1")
        async with asyncio.timeout(2):
            cancelled = await asker.outcome(request.job)
        assert isinstance(cancelled, Cancelled)
        assert 5 <= cancelled.step < 200
        following = await asker.train(steps=10)
        assert isinstance(await asker.outcome(following.job), Done)


async def test_a_job_that_takes_too_long_is_given_up(asker: Asker, redis_url: str, tmp_path: Path) -> None:
    async with running_worker(worker_settings(redis_url, tmp_path, train_timeout_seconds=1)):
        request = await asker.train(steps=2000)
        failed = await asker.outcome(request.job)
    assert isinstance(failed, Failed)
    assert failed.reason is FailureReason.GAVE_UP


async def test_a_failure_in_the_engine_is_passed_on(asker: Asker, settings: WorkerSettings) -> None:
    async with running_worker(settings):
        request = await asker.train("diverge")
        failed = await asker.outcome(request.job)
    assert isinstance(failed, Failed)
    assert failed.reason is FailureReason.DIVERGED
    assert not failed.retry


async def test_the_bot_sees_that_a_worker_lives(asker: Asker, settings: WorkerSettings) -> None:
    async with running_worker(settings):
        request = await asker.imagine(steps=20)
        await asker.outcome(request.job)
        [key] = await asker.redis.keys(worker_key("green-*"))
        assert await asker.redis.get(key) == b"demo"
        assert 0 < await asker.redis.pttl(key) <= 2000
        [key] = await asker.redis.keys(status_key("green-*"))
        status = WorkerStatus.model_validate_json(await asker.redis.get(key))
        assert (status.base, status.engine) == ("demo", None)  # the scripted engine says nothing of itself
        assert 0 < await asker.redis.pttl(key) <= 2000
    assert await asker.redis.keys(worker_key("*")) == []
    assert await asker.redis.keys(status_key("*")) == []
