"""Two workers and one job: it is handed over at once, and who was away for too long changes nothing any more."""

import os
import signal
import time
from pathlib import Path

import pytest
from arq.constants import in_progress_key_prefix, job_key_prefix

from gpu_worker.__main__ import Exit
from gpu_worker.settings import WorkerSettings
from storage.blobs import Blobs
from storage.contract import Done, JobKind, Started, TrainRequest, lease_key, queue_name, request_key, task_id
from tests.gpu_worker.house import Asker, running_worker, worker_settings
from tests.gpu_worker.processes import engine_of, worker_process
from tests.waiting import until


async def give_up(asker: Asker, request: TrainRequest) -> TrainRequest:
    """Do what the bot does once a lease has run out: forget the attempt in Redis and start the next."""

    async def has_run_out() -> bool:
        return not await asker.redis.exists(lease_key(request.job, 1))

    await until(has_run_out)
    second, task = request.model_copy(update={"attempt": 2}), task_id(request.job, 1)
    await asker.write(second, second.model_dump_json())
    await asker.redis.zrem(queue_name(JobKind.TRAIN, "demo"), task)
    await asker.redis.delete(job_key_prefix + task, in_progress_key_prefix + task, request_key(request.job, 1))
    await asker.poke(second)
    return second


@pytest.mark.parametrize(
    ("frozen", "woken"),
    [
        ("worker", "while the other works"),
        ("worker", "after it is done"),
        ("worker and engine", "while the other works"),
    ],
)
async def test_a_worker_frozen_past_its_lease_changes_nothing_when_it_wakes(
    asker: Asker, env_file: Path, settings: WorkerSettings, blobs: Blobs, frozen: str, woken: str
) -> None:
    async with worker_process(env_file) as old:
        request = await asker.train(steps=120)
        await asker.wait_for(request.job, "saved")
        engine = await engine_of(old)
        for process in [old.pid, engine] if frozen == "worker and engine" else [old.pid]:
            os.kill(process, signal.SIGSTOP)
        await give_up(asker, request)
        said, stored = len(await asker.redis.xrange("dreambot:events")), {}
        async with running_worker(settings):
            await asker.wait_for(request.job, "saved", attempt=2)
            if woken == "after it is done":
                await asker.wait_for(request.job, "done", attempt=2)
            stored = await contents(blobs, attempt=1)
            for process in (engine, old.pid):
                os.kill(process, signal.SIGCONT)
            done = await asker.wait_for(request.job, "done", attempt=2)
            old.terminate()
            _, log = await old.communicate()
            assert old.returncode == Exit.OK, log.decode()
            assert "the lease had run out" in log.decode()
    assert isinstance(done, Done)
    assert done.trained is not None
    entries = await asker.events(request.job)
    assert [event.attempt for event in entries[:said]] == [1] * said
    assert {event.attempt for event in entries[said:]} == {2}
    assert entries[-1].kind == "done"
    adapter = (await blobs.get(done.trained.adapter.key)).decode()
    assert adapter.startswith(f"adapter of {request.job} after 120 steps")
    assert ", 0 of them before" not in adapter
    after = await contents(blobs, attempt=1)
    assert after.items() <= stored.items()  # the second attempt may have cleared them away, and the first added nothing


async def contents(blobs: Blobs, *, attempt: int) -> dict[str, bytes]:
    keys = [key for prefix in ("checkpoints", "samples", "models") for key in await blobs.list(prefix)]
    return {key: await blobs.get(key) for key in keys if f"/{attempt}/" in key}


async def test_a_stopped_workers_training_goes_on_elsewhere_long_before_the_lease_would_end(
    asker: Asker, env_file: Path, redis_url: str, tmp_path: Path
) -> None:
    text = env_file.read_text(encoding="utf-8").replace("LEASE_SECONDS=2", "LEASE_SECONDS=300")
    env_file.write_text(text, encoding="utf-8")
    async with worker_process(env_file) as first:
        request = await asker.train(steps=200)
        await asker.wait_for(request.job, "saved")
        async with running_worker(worker_settings(redis_url, tmp_path, lease_seconds=300)):
            first.terminate()
            began = time.monotonic()
            _, log = await first.communicate()
            assert first.returncode == Exit.OK, log.decode()
            assert time.monotonic() - began < 30

            async def goes_on() -> bool:
                started = [event for event in await asker.events(request.job) if isinstance(event, Started)]
                return len({event.worker for event in started}) == 2

            await until(goes_on, 30)
            assert isinstance(await asker.outcome(request.job), Done)


async def test_a_second_signal_ends_the_worker_at_once_and_gives_back_what_it_held(
    asker: Asker, env_file: Path, settings: WorkerSettings
) -> None:
    async with worker_process(env_file, SCRIPTED_STEP_SECONDS="0.5") as worker:
        training, picture = await asker.train(steps=100), await asker.imagine(steps=100)
        for job in (training.job, picture.job):
            await asker.wait_for(job, "started")
        worker.send_signal(signal.SIGTERM)
        worker.send_signal(signal.SIGINT)
        worker.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, log = await worker.communicate()
        assert worker.returncode == Exit.OK, log.decode()
        assert time.monotonic() - began < 7  # which is the time that pictures have to be finished
    assert await asker.redis.exists(lease_key(training.job, 1), lease_key(picture.job, 1)) == 0
    async with running_worker(settings):
        for job in (training.job, picture.job):
            assert isinstance(await asker.outcome(job), Done)
