"""The queue: arq hands over a job's id and attempt, nothing more. Liveness, retries and cancelling are ours."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from arq.connections import ArqRedis
from arq.constants import expires_extra_ms
from arq.typing import WorkerCoroutine
from arq.worker import RetryJob, Worker, func
from pydantic import TypeAdapter
from redis.exceptions import RedisError

from gpu_worker.settings import WorkerSettings
from storage.contract import Id, JobKind, queue_name, task_id
from storage.faults import reach
from storage.queue_codec import decode_job, encode_job
from storage.redis_client import connection_pool

log = logging.getLogger(__name__)

POLL_SECONDS = 0.05
EXPIRES_DAYS = 14
KEEP_RESULT_SECONDS = 60
MAX_TRIES = 20
"""How often arq may start one attempt again, after a shutdown each time; how often a job is tried is up to the bot."""
TIMEOUT_MARGIN_SECONDS = 600
"""arq's own limit comes after ours, for it forgets the job, and nobody would hear of it."""
HEALTH_SECONDS = 15
MAX_RESTART_DELAY_SECONDS = 10.0
CLOSE_SECONDS = 3.0

RunAttempt = Callable[[JobKind, str, int], Awaitable[bool]]
"""Does (kind, job, attempt); False says that the job has to stay in the queue."""

Key = tuple[JobKind, str, int]
_ID: TypeAdapter[str] = TypeAdapter(Id)


class Queues:
    """Takes jobs of both kinds from Redis. A job in work outlives the arq worker that brought it."""

    def __init__(self, settings: WorkerSettings, name: str, run_attempt: RunAttempt, group: asyncio.TaskGroup) -> None:
        self._settings, self._name, self._run_attempt, self._group = settings, name, run_attempt, group
        self._jobs: dict[Key, asyncio.Task[bool]] = {}
        self._workers: dict[JobKind, Worker] = {}
        self._open = False

    async def serve(self, kind: JobKind) -> None:
        """Take jobs of `kind` until cancelled; when arq gives up, as it does when Redis fails it, begin again."""
        delay = 0.1
        while True:
            worker = self._workers[kind] = self._arq_worker(kind)
            try:
                await worker.main()
            except (RedisError, OSError) as error:
                log.warning("the %s queue broke off (%s), again in %.1f s", kind.value, type(error).__name__, delay)
            finally:
                await _close(worker)
            await asyncio.sleep(delay)
            delay = min(delay * 2, MAX_RESTART_DELAY_SECONDS)

    def open(self, is_open: bool) -> None:
        """Take new jobs from now on, or no longer."""
        self._open = is_open
        for worker in self._workers.values():
            worker.allow_pick_jobs = is_open

    async def settle(self, seconds: float, kind: JobKind | None = None) -> None:
        """Wait until no job (of `kind`) is in work, for `seconds` at most."""
        tasks = [task for key, task in self._jobs.items() if kind in {None, key[0]}]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    def in_work(self, kind: JobKind) -> int:
        """Return how many jobs are taken and not ended."""
        return sum(key[0] is kind for key in self._jobs)

    def drop(self) -> None:
        """Break off what is in work; it stays in the queue."""
        for task in self._jobs.values():
            task.cancel()

    async def train(self, _ctx: dict[Any, Any], job: str, attempt: int) -> None:
        await self._take(JobKind.TRAIN, job, attempt)

    async def imagine(self, _ctx: dict[Any, Any], job: str, attempt: int) -> None:
        await self._take(JobKind.IMAGINE, job, attempt)

    async def _take(self, kind: JobKind, job: str, attempt: int) -> None:
        key = (kind, _ID.validate_python(job), attempt)
        task = self._jobs.get(key)
        if task is None:
            task = self._jobs[key] = self._group.create_task(self._work(key), name=task_id(job, attempt))
            task.add_done_callback(lambda _: self._jobs.pop(key))
        done = await asyncio.shield(task)
        reach("task.returned")
        if not done:
            raise RetryJob

    async def _work(self, key: Key) -> bool:
        kind, job, attempt = key
        earlier = [task for other, task in self._jobs.items() if other[:2] == key[:2] and other != key]
        if earlier:  # it has lost its claim to this attempt, and ends as soon as it notices
            await asyncio.wait(earlier)
        try:
            return await self._run_attempt(kind, job, attempt)
        except Exception:
            log.exception("job %s attempt %d could not be worked on", job, attempt)
            return True

    def _arq_worker(self, kind: JobKind) -> Worker:
        settings = self._settings
        task = cast(WorkerCoroutine, self.train if kind is JobKind.TRAIN else self.imagine)
        worker = Worker(
            functions=[func(task, name=kind.value)],
            redis_pool=ArqRedis(
                connection_pool(settings.redis_url.get_secret_value(), patient=True),
                job_serializer=encode_job,
                job_deserializer=decode_job,
            ),
            queue_name=queue_name(kind, settings.base),
            max_jobs=settings.training_slots if kind is JobKind.TRAIN else settings.imagine_window,
            job_timeout=settings.limit_seconds(kind) + TIMEOUT_MARGIN_SECONDS,
            max_tries=MAX_TRIES,
            keep_result=KEEP_RESULT_SECONDS,
            expires_extra_ms=EXPIRES_DAYS * expires_extra_ms,
            poll_delay=POLL_SECONDS,
            health_check_key=f"dreambot:health:{self._name}:{kind.value}",
            health_check_interval=HEALTH_SECONDS,
            job_serializer=encode_job,
            job_deserializer=decode_job,
            handle_signals=False,
            log_results=False,
        )
        worker.allow_pick_jobs = self._open
        return worker


async def _close(worker: Worker) -> None:
    """Let go of an arq worker; what Redis cannot be told now runs out there by itself."""
    tasks = list(worker.tasks.values())
    for task in tasks:
        task.cancel()
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await asyncio.gather(*tasks, return_exceptions=True)
            await worker.pool.delete(worker.health_check_key)
    except (RedisError, OSError) as error:
        log.warning("a queue was left without a farewell (%s)", type(error).__name__)
    finally:
        await worker.pool.aclose(close_connection_pool=True)
