import asyncio
import socket
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from storage.redis_client import OUTAGE, Pauses, address, client, connection_pool

SECRET = "hunter2"


def nobody_listens() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


async def test_reaches_the_server(redis_url: str, redis: Redis) -> None:
    async with client(redis_url, patient=True) as reached:
        await reached.set("greeting", "hello")
    assert await redis.get("greeting") == b"hello"


async def test_fails_at_once_where_nobody_listens_and_keeps_the_password(caplog: pytest.LogCaptureFixture) -> None:
    url = f"redis://:{SECRET}@127.0.0.1:{nobody_listens()}/0"
    caplog.set_level("DEBUG")
    async with client(url, patient=False) as unreachable:
        with pytest.raises(OUTAGE) as caught:
            await unreachable.ping()
        printed = f"{unreachable!r} {unreachable.connection_pool!r} {caught.value!r} {address(url)} {caplog.text}"
    assert SECRET not in printed
    assert "127.0.0.1" in address(url)


def test_tls_checks_whom_it_speaks_to() -> None:
    options = connection_pool("rediss://queue.example:6380/0", patient=True).connection_kwargs
    assert options["ssl_check_hostname"] is True
    assert options["ssl_cert_reqs"] is ssl.CERT_REQUIRED


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost"])
def test_refuses_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match="Redis URL"):
        connection_pool(url, patient=False)


async def test_a_patient_command_waits_for_room(redis_url: str, redis: Redis) -> None:
    async with client(redis_url, patient=True) as patient, client(redis_url, patient=False) as hasty:
        await redis.config_set("maxmemory", 1)
        try:
            with pytest.raises(OutOfMemoryError):
                await hasty.set("event", "1")
            waiting = asyncio.ensure_future(patient.set("event", "2"))
            await asyncio.sleep(0.2)
            assert not waiting.done()
        finally:
            await redis.config_set("maxmemory", 0)
        async with asyncio.timeout(20):
            await waiting
    assert await redis.get("event") == b"2"


@given(failures=st.integers(0, 100_000), cap=st.floats(1, 100), base=st.floats(0.01, 1))
def test_a_pause_stays_within_its_bounds_however_long_an_outage_lasts(failures: int, cap: float, base: float) -> None:
    assert 0 <= Pauses(cap=cap, base=base).compute(failures) <= min(cap, base * 2 ** min(failures, 32))


def test_pauses_differ_so_that_not_all_return_at_once() -> None:
    pauses = [Pauses(cap=10, base=0.2).compute(1_000_000) for _ in range(50)]
    assert len(set(pauses)) > 1
    assert max(pauses) - min(pauses) > 1


async def test_who_is_patient_waits_through_any_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """More failures than the doubling could count, each after no pause at all."""
    monkeypatch.setattr("random.uniform", lambda low, high: 0.0)
    tries = 0

    async def fail() -> None:
        nonlocal tries
        tries += 1
        if tries < 1500:
            raise OSError

    retry = connection_pool("redis://queue.example", patient=True).connection_kwargs["retry"]
    retry.update_supported_errors([OSError])

    async def forget(_error: Exception) -> None:
        pass

    await retry.call_with_retry(fail, forget)
    assert tries == 1500
