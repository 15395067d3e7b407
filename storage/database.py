"""The database: SQLite in a file by default, Postgres by URL, brought up to date when it is opened.

On SQLite one connection writes and a few others read, so that autocomplete never waits for a write. A transaction is
one `async with`; nothing that waits for the network belongs inside, and a write inside a write waits for itself.

What SQLite finds by an index is read on the spot (`in_place`); what goes through many rows is surveyed, in a thread.
"""

import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import URL, Connection, Engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from storage import in_place
from storage.migrations import upgrade
from storage.schema import Base

READERS = 4
BUSY_TIMEOUT_MS = 10_000
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}


class Database:
    def __init__(self, writer: AsyncEngine, reader: AsyncEngine, surveyor: AsyncEngine) -> None:
        self._writer, self._reader, self._surveyor = writer, reader, surveyor

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect and migrate to the newest schema. Close what this returns: SQLite's threads end no other way."""
        logging.getLogger("aiosqlite").setLevel(logging.INFO)  # below, it prints what people wrote
        address = make_url(url)
        address = address.set(drivername=DRIVERS.get(address.drivername, address.drivername))
        await _migrate(address)
        if address.get_backend_name() == "sqlite":
            return cls(_sqlite_writer(address), _sqlite_reader(address), _in_threads(address, "BEGIN", read_only=True))
        engine = create_async_engine(address)
        reader = engine.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")
        return cls(engine, reader, reader)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """Run one transaction that may write; it commits when the block ends and rolls back when it raises."""
        async with AsyncSession(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Look at one consistent state of all rows. On SQLite nothing else goes on during each query: see `survey`."""
        async with AsyncSession(self._reader, expire_on_commit=False, autoflush=False) as session:
            yield session

    @asynccontextmanager
    async def survey(self) -> AsyncIterator[AsyncSession]:
        """Read what no index leads to, or so much that everybody else would wait for it."""
        async with AsyncSession(self._surveyor, expire_on_commit=False, autoflush=False) as session:
            yield session

    async def close(self) -> None:
        for engine in (self._surveyor, self._reader, self._writer):
            await engine.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


async def insert_new(session: AsyncSession, table: type[Base], **values: object) -> bool:
    """Insert the row unless its key exists; return whether it is new. Two who do so at once never fail each other."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).values(**values).on_conflict_do_nothing().returning(*table.__mapper__.primary_key)
    return (await session.execute(statement)).first() is not None


async def _migrate(address: URL) -> None:
    """Upgrade on a connection of its own: SQLite cannot rebuild tables while it enforces foreign keys."""
    if address.get_backend_name() == "sqlite":
        if address.database in {None, "", ":memory:"}:
            raise ValueError("the SQLite database needs a file, for two connections share it")
        Path(str(address.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = _in_threads(address, "BEGIN IMMEDIATE", foreign_keys=False)
    else:
        engine = create_async_engine(address, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(upgrade)
    finally:
        await engine.dispose()


def _sqlite_writer(address: URL) -> AsyncEngine:
    thread = ThreadPoolExecutor(1, "writing")
    engine = create_async_engine(
        address.set(drivername=in_place.DRIVER), pool_size=1, max_overflow=0, begin="BEGIN IMMEDIATE", thread=thread
    )

    @event.listens_for(engine.sync_engine, "engine_disposed")
    def end(_engine: Engine) -> None:
        thread.shutdown()

    return _configured(engine)


def _sqlite_reader(address: URL) -> AsyncEngine:
    engine = create_async_engine(address.set(drivername=in_place.DRIVER), pool_size=READERS, max_overflow=0)
    return _configured(engine, read_only=True)


def _in_threads(address: URL, begin: str, *, read_only: bool = False, foreign_keys: bool = True) -> AsyncEngine:
    """Give every transaction a connection and a thread of its own."""
    engine = create_async_engine(address, poolclass=NullPool)

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return _configured(engine, read_only=read_only, foreign_keys=foreign_keys)


def _configured(engine: AsyncEngine, *, read_only: bool = False, foreign_keys: bool = True) -> AsyncEngine:
    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: DBAPIConnection, _record: object) -> None:
        # The driver's own BEGIN comes late, or for reads not at all: we begin every transaction ourselves.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            f"foreign_keys = {'ON' if foreign_keys else 'OFF'}",
            f"query_only = {'ON' if read_only else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine
