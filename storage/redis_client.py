"""How both sides reach Redis."""

import ssl
from urllib.parse import urlsplit

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import FullJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

OUTAGE = (RedisConnectionError, RedisTimeoutError, OutOfMemoryError, ReadOnlyError, OSError)
"""What a command raises while Redis is down, full or a mere copy; `OSError` is a refused or unresolved connection."""


class Pauses(FullJitterBackoff):
    """Pauses that double up to `cap` seconds, with full jitter (0 to that long), for any number of failures.

    The library's own overflow after 1023 failures: an outage of some minutes would end who waits for ever.
    """

    def compute(self, failures: int) -> float:
        return super().compute(min(failures, 32))


def connection_pool(url: str, *, patient: bool) -> ConnectionPool:
    """Prepare connections whose commands try again for ever while Redis is down, or fail at once when not `patient`.

    Connects at the first command. Raises `ValueError` for an address that is none.
    """
    # TLS: redis-py leaves the host name unchecked unless told.
    tls = {"ssl_check_hostname": True, "ssl_cert_reqs": ssl.CERT_REQUIRED} if urlsplit(url).scheme == "rediss" else {}
    return ConnectionPool.from_url(
        url,
        retry=Retry(Pauses(cap=2, base=0.1), retries=-1 if patient else 0),
        retry_on_error=list(OUTAGE),
        socket_timeout=10,
        socket_connect_timeout=5,
        socket_keepalive=True,
        health_check_interval=15,
        **tls,
    )


def client(url: str, *, patient: bool) -> Redis:
    """Make a client that closes its connections with itself."""
    return Redis.from_pool(connection_pool(url, patient=patient))


def address(url: str) -> str:
    """Say where Redis is, without its password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or 6379}" if parts.hostname else parts.path
