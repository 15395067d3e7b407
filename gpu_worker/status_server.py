"""The worker's small HTTP server: `/status` as JSON, `/metrics` for Prometheus, `/health` for a supervisor."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from storage.worker_status import EngineStatus, WorkerStatus

Read = Callable[[], WorkerStatus]

GAUGES = {
    "slots": "Slots for people's models.",
    "slots_used": "Slots with a model in them.",
    "slots_held": "Slots whose pictures are in work.",
    "training_slots": "How many people may train at once.",
    "training": "Trainings in work.",
    "trainings_waiting": "Trainings that wait for a place.",
    "pictures": "Pictures in work and waiting.",
    "batch_fill": "Share of a batch's places that were taken lately.",
    "picture_steps_s": "Denoising steps a second, each picture's counted.",
    "train_steps_s": "Training steps a second, each training's counted.",
}
"""Facts of an `EngineStatus` that are metrics under their own names."""


class Metrics(Collector):
    def __init__(self, read: Read) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        status = self._read()
        yield _gauge("engine_ready", "1 when the base model is loaded.", status.engine is not None)
        jobs = GaugeMetricFamily("dreambot_jobs", "Jobs taken and not ended.", labels=["kind"])
        jobs.add_metric(["train"], status.train_jobs)
        jobs.add_metric(["imagine"], status.imagine_jobs)
        yield jobs
        if status.engine is not None:
            yield from _of_engine(status.engine)


def _of_engine(engine: EngineStatus) -> Iterator[GaugeMetricFamily]:
    for name, meaning in GAUGES.items():
        if (value := getattr(engine, name)) is not None:
            yield _gauge(name, meaning, value)
    yield _gauge("people_waiting", "People who wait for pictures.", len(engine.queue))
    yield _gauge("longest_queue", "Pictures that the person with the most waits for.", max(engine.queue, default=0))
    yield _gauge("memory_used_bytes", "Of the GPU, or of the engine's process.", engine.memory_used_mb << 20)
    yield _gauge("memory_total_bytes", "What there is.", engine.memory_total_mb << 20)


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"dreambot_{name}", meaning, value=float(value))


def application(read: Read) -> web.Application:
    registry = CollectorRegistry()
    registry.register(Metrics(read))

    async def status(_request: web.Request) -> web.Response:
        return web.json_response(text=json.dumps(read().model_dump(mode="json")))

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def health(_request: web.Request) -> web.Response:
        ready = read().engine is not None
        return web.json_response({"status": "ok" if ready else "starting"}, status=200 if ready else 503)

    app = web.Application()
    app.add_routes([web.get("/status", status), web.get("/metrics", metrics), web.get("/health", health)])
    return app


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Serve until the block ends; yields the port, which the system chooses when `port` is 0. Raises OSError."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
