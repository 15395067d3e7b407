"""arq's own limits, each as it shows in Redis: how often it starts a task again, when it gives up, who lives."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from uuid import uuid4

import pytest
from arq.connections import ArqRedis
from redis.asyncio import Redis

from gpu_worker import tasks
from gpu_worker.settings import WorkerSettings
from gpu_worker.tasks import HEALTH_SECONDS, TIMEOUT_MARGIN_SECONDS, Queues, RunAttempt
from storage.contract import JobKind, queue_name, task_id
from storage.queue_codec import decode_job, encode_job
from tests.waiting import until


@contextlib.asynccontextmanager
async def serving(settings: WorkerSettings, names: Sequence[str], run: RunAttempt) -> AsyncIterator[list[Queues]]:
    async with asyncio.TaskGroup() as group:
        queues = [Queues(settings, name, run, group) for name in names]
        for each in queues:
            each.open(True)
        loops = [group.create_task(each.serve(kind)) for each in queues for kind in JobKind]
        try:
            yield queues
        finally:
            for loop in loops:
                loop.cancel()


async def put(redis: Redis, settings: WorkerSettings) -> str:
    """Put a picture's task into its queue, as the bot does; returns the task's id."""
    job = uuid4().hex
    queue = ArqRedis(redis.connection_pool, job_serializer=encode_job, job_deserializer=decode_job)
    name = queue_name(JobKind.IMAGINE, settings.base)
    await queue.enqueue_job("imagine", job, 1, _job_id=task_id(job, 1), _queue_name=name, _expires=timedelta(days=14))
    return task_id(job, 1)


async def nothing(_kind: JobKind, _job: str, _attempt: int) -> bool:
    return True


async def test_every_worker_tells_by_its_own_key_that_it_lives(redis: Redis, settings: WorkerSettings) -> None:
    wanted = {f"dreambot:health:{name}:{kind}".encode() for name in ("blue", "green") for kind in ("train", "imagine")}

    async def all_tell() -> bool:
        return set(await redis.keys("dreambot:health:*")) == wanted

    async with serving(settings, ["blue", "green"], nothing):
        await until(all_tell)
        for key in wanted:
            assert 0 < await redis.ttl(key) <= HEALTH_SECONDS + 1
    assert await redis.keys("dreambot:health:*") == []


@pytest.mark.parametrize("kind", JobKind)
async def test_arq_gives_a_task_up_only_long_after_we_do(redis: Redis, settings: WorkerSettings, kind: JobKind) -> None:
    async with asyncio.TaskGroup() as group:
        worker = Queues(settings, "blue", nothing, group)._arq_worker(kind)
        assert worker.job_timeout_s == settings.limit_seconds(kind) + TIMEOUT_MARGIN_SECONDS
        assert worker.max_jobs == (settings.training_slots if kind is JobKind.TRAIN else settings.imagine_window)
        await worker.pool.aclose(close_connection_pool=True)


async def test_a_task_that_stays_is_started_again_and_then_ends_where_the_bot_sees_it(
    redis: Redis, settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that shuts down leaves its task; one that is left too often ends as lost, and the bot starts anew."""
    monkeypatch.setattr(tasks, "MAX_TRIES", 3)
    starts: list[str] = []

    async def stays(_kind: JobKind, job: str, attempt: int) -> bool:
        starts.append(task_id(job, attempt))
        return False

    async with serving(settings, ["blue"], stays):
        task = await put(redis, settings)

        async def ended() -> bool:
            return bool(await redis.exists(f"arq:result:{task}"))

        await until(ended)
    assert starts == [task] * 3
    assert await redis.exists(f"arq:job:{task}", f"arq:in-progress:{task}") == 0
    assert 0 < await redis.ttl(f"arq:result:{task}") <= 3600
