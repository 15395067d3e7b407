import asyncio
import json

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job as QueuedJob
from arq.worker import Worker, func
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import ConnectionPool

from storage.queue_codec import MAX_JOB_BYTES, decode_job, encode_job

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)

PICKLE = b"\x80\x04}\x94\x8c\x01f\x94\x8c\x05train\x94s."
"""What arq would have written by itself."""


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_gives_back_what_went_in(message: dict[str, object]) -> None:
    assert decode_job(encode_job(message)) == message


def test_an_exception_becomes_its_name_without_what_it_says() -> None:
    encoded = encode_job({"r": ValueError("a photo of my secret dog")})
    assert json.loads(encoded) == {"r": {"exception": "ValueError"}}


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}])
def test_other_things_do_not_go_in(value: object) -> None:
    with pytest.raises(TypeError):
        encode_job({"r": value})


@given(st.binary(max_size=200) | st.just(PICKLE) | st.just(b"[" + b"1," * MAX_JOB_BYTES + b"1]"))
def test_reads_nothing_but_small_json_objects(data: bytes) -> None:
    try:
        message = decode_job(data)
    except ValueError:
        return
    assert isinstance(message, dict)


async def test_arq_keeps_the_result_of_a_job_that_broke(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    async def train(ctx: dict[str, object], job: str) -> None:
        raise RuntimeError(job)

    pool = ArqRedis(ConnectionPool.from_url(redis_url), job_serializer=encode_job, job_deserializer=decode_job)
    try:
        await pool.enqueue_job("train", "0123", _job_id="0123:1", _queue_name="queue")
        worker = Worker(
            [func(train, name="train")],
            queue_name="queue",
            redis_pool=pool,
            job_serializer=encode_job,
            job_deserializer=decode_job,
            burst=True,
            poll_delay=0.01,
            handle_signals=False,
        )
        async with asyncio.timeout(10):
            await worker.main()
        known = await QueuedJob("0123:1", pool, "queue", _deserializer=decode_job).result_info()
    finally:
        await pool.connection_pool.disconnect()
    assert known is not None
    assert not known.success
    assert known.result == {"exception": "RuntimeError"}
    assert "error serializing" not in caplog.text
