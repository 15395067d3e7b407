"""Workers in this process on a real Redis-protocol server, and the bot's side of the queue to feed them."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import uuid4

from arq.connections import ArqRedis

from gpu_worker.__main__ import Exit, serve
from gpu_worker.settings import WorkerSettings
from storage.blobs import Blobs
from storage.contract import (
    EVENT,
    EVENT_FIELD,
    EVENTS_STREAM,
    TERMINAL,
    Adapter,
    AnyEvent,
    ImagineRequest,
    JobKind,
    Quality,
    SubjectKind,
    TrainingOptions,
    TrainRequest,
    photo_key,
    queue_name,
    request_key,
    task_id,
)
from storage.queue_codec import decode_job, encode_job

SCRIPTED_ENGINE = (sys.executable, "-m", "tests.gpu_worker.scripted_engine")
WAIT_SECONDS = 90
"""More than any wait needs, for the machine may be busy."""


def plan_training(class_noun: str = "dog", *, steps: int) -> TrainRequest:
    job = uuid4().hex
    return TrainRequest(
        job=job,
        attempt=1,
        model=uuid4().hex,
        base="demo",
        identifier="sks",
        class_noun=class_noun,
        subject_kind=SubjectKind.PET,
        quality=Quality.FAST,
        photos=tuple(photo_key(job, position) for position in range(3)),
        options=TrainingOptions(steps=steps),
        seed=1,
    )


class Asker:
    """Does what the bot does: stores photos, writes requests, enqueues tasks and reads events."""

    def __init__(self, redis: ArqRedis, blobs: Blobs) -> None:
        self.redis, self.blobs = redis, blobs

    async def train(self, class_noun: str = "dog", *, steps: int = 20, photos: int = 3) -> TrainRequest:
        request = plan_training(class_noun, steps=steps)
        for key in request.photos[:photos]:
            await self.blobs.put(key, b"photo")
        await self.send(request)
        return request

    async def imagine(
        self, prompt: str = "a dog", *, steps: int = 5, count: int = 1, adapter: Adapter | None = None
    ) -> ImagineRequest:
        request = ImagineRequest(
            job=uuid4().hex, attempt=1, base="demo", prompt=prompt, count=count, seed=7, steps=steps, adapter=adapter
        )
        await self.send(request)
        return request

    async def send(self, request: TrainRequest | ImagineRequest) -> None:
        await self.write(request, request.model_dump_json())
        await self.poke(request)

    async def write(self, request: TrainRequest | ImagineRequest, text: str) -> None:
        await self.redis.set(request_key(request.job, request.attempt), text)

    async def poke(self, request: TrainRequest | ImagineRequest) -> None:
        """Enqueue the task alone."""
        await self.redis.enqueue_job(
            request.kind.value,
            request.job,
            request.attempt,
            _job_id=task_id(request.job, request.attempt),
            _queue_name=queue_name(request.kind, "demo"),
        )

    async def events(self, job: str) -> list[AnyEvent]:
        entries = await self.redis.xrange(EVENTS_STREAM)
        events = [EVENT.validate_json(fields[EVENT_FIELD.encode()]) for _, fields in entries]
        return [event for event in events if event.job == job]

    async def wait_for(
        self, job: str, *kinds: str, attempt: int | None = None, stage: str | None = None, seconds: float = WAIT_SECONDS
    ) -> AnyEvent:
        """Return the job's first event of one of the kinds, of a certain attempt or stage where one is named."""
        async with asyncio.timeout(seconds):
            while True:
                for event in await self.events(job):
                    fits = attempt in {None, event.attempt} and stage in {None, getattr(event, "stage", None)}
                    if event.kind in kinds and fits:
                        return event
                await asyncio.sleep(0.02)

    async def outcome(self, job: str) -> AnyEvent:
        return await self.wait_for(job, *TERMINAL)

    async def drained(self, kind: JobKind) -> None:
        """Wait until no task of the kind is left in the queue."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                if await self.queued(kind) == 0:
                    return
                await asyncio.sleep(0.02)

    async def queued(self, kind: JobKind) -> int:
        return int(await self.redis.zcard(queue_name(kind, "demo")))


@contextlib.asynccontextmanager
async def asking(redis_url: str, blobs: Blobs) -> AsyncIterator[Asker]:
    redis = ArqRedis.from_url(redis_url)
    redis.job_serializer, redis.job_deserializer = encode_job, decode_job
    async with redis:
        yield Asker(redis, blobs)


def worker_settings(redis_url: str, folder: Path, **changes: object) -> WorkerSettings:
    values: dict[str, object] = {
        "redis_url": redis_url,
        "blob_url": str(folder / "blobs"),
        "cache_dir": folder / "cache",
        "worker_name": "green",
        "lease_seconds": 2,
        "lease_renew_seconds": 0.5,
        "engine_step_seconds": 10,
    }
    return WorkerSettings.model_validate({**values, **changes})


class RunningWorker:
    def __init__(self, task: "asyncio.Task[Exit]", stopped: "asyncio.Future[Exit]") -> None:
        self.task, self._stopped = task, stopped

    async def stop(self) -> Exit:
        if not self._stopped.done():
            self._stopped.set_result(Exit.OK)
        async with asyncio.timeout(WAIT_SECONDS):
            return await self.task


@contextlib.asynccontextmanager
async def running_worker(
    settings: WorkerSettings, engine: Sequence[str] = SCRIPTED_ENGINE
) -> AsyncIterator[RunningWorker]:
    stopped: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        worker = RunningWorker(group.create_task(serve(settings, engine, stopped)), stopped)
        try:
            yield worker
        finally:
            await worker.stop()
