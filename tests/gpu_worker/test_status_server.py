"""What a worker says of itself over HTTP: as JSON, and as Prometheus reads it."""

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from gpu_worker.status_server import GAUGES, application, serving
from storage.worker_status import EngineStatus, WorkerStatus

ENGINE = EngineStatus(
    device="cpu",
    slots=64,
    slots_used=5,
    slots_held=2,
    training_slots=4,
    training=3,
    trainings_waiting=1,
    pictures=16,
    queue=(12, 3, 1),
    batch_fill=None,
    picture_steps_s=41.25,
    train_steps_s=8.5,
    memory_used_mb=512,
    memory_total_mb=1024,
)


def status(engine: EngineStatus | None) -> WorkerStatus:
    return WorkerStatus(worker="green-1f2e", base="demo", train_jobs=4, imagine_jobs=7, engine=engine)


async def test_it_says_what_is_true_when_it_is_asked() -> None:
    now = status(None)
    async with serving(application(lambda: now), "127.0.0.1", 0) as port, aiohttp.ClientSession() as session:

        async def get(path: str) -> tuple[int, str]:
            async with session.get(f"http://127.0.0.1:{port}/{path}") as response:
                return response.status, await response.text()

        assert (await get("health"))[0] == 503
        assert metrics((await get("metrics"))[1])["dreambot_engine_ready"] == 0
        now = status(ENGINE)
        assert (await get("health"))[0] == 200
        assert WorkerStatus.model_validate_json((await get("status"))[1]) == now
        told = metrics((await get("metrics"))[1])
        assert told["dreambot_slots_used"] == 5
        assert told["dreambot_jobs train"] == 4
        assert told["dreambot_people_waiting"] == 3
        assert told["dreambot_longest_queue"] == 12
        assert told["dreambot_memory_used_bytes"] == 512 << 20
        assert "dreambot_batch_fill" not in told  # nothing was drawn lately


def metrics(text: str) -> dict[str, float]:
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_metric_is_a_fact_of_the_engine() -> None:
    assert GAUGES.keys() <= EngineStatus.model_fields.keys()
