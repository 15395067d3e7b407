import asyncio
import socket
import ssl

import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from storage.redis_client import OUTAGE, address, client, connection_pool

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
