"""The database: SQLite in a file by default, Postgres by URL, brought up to date when it is opened.

On SQLite one connection writes and a few others read, so that autocomplete never waits for a write. A transaction is
one `async with`; nothing that waits for the network belongs inside, and a write inside a write waits for itself.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from storage.migrations import upgrade
from storage.schema import Base

READERS = 4
BUSY_TIMEOUT_MS = 10_000
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}


class Database:
    def __init__(self, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self._writer = writer
        self._reader = reader

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect and migrate to the newest schema. Close what this returns: SQLite's threads end no other way."""
        logging.getLogger("aiosqlite").setLevel(logging.INFO)  # below, it prints what people wrote
        address = make_url(url)
        address = address.set(drivername=DRIVERS.get(address.drivername, address.drivername))
        await _migrate(address)
        if address.get_backend_name() == "sqlite":
            return cls(
                _sqlite(address, "BEGIN IMMEDIATE", size=1), _sqlite(address, "BEGIN", size=READERS, read_only=True)
            )
        engine = create_async_engine(address)
        return cls(engine, engine.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ"))

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """Run one transaction that may write; it commits when the block ends and rolls back when it raises."""
        async with AsyncSession(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Look at one consistent state of all rows."""
        async with AsyncSession(self._reader, expire_on_commit=False, autoflush=False) as session, session.begin():
            yield session

    async def close(self) -> None:
        await self._reader.dispose()
        await self._writer.dispose()

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
        engine = _sqlite(address, "BEGIN IMMEDIATE", foreign_keys=False)
    else:
        engine = create_async_engine(address, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(upgrade)
    finally:
        await engine.dispose()


def _sqlite(
    address: URL, begin: str, *, size: int | None = None, read_only: bool = False, foreign_keys: bool = True
) -> AsyncEngine:
    pool: dict[str, Any] = {"poolclass": NullPool}
    if size is not None:
        pool = {"poolclass": AsyncAdaptedQueuePool, "pool_size": size, "max_overflow": 0}
    engine = create_async_engine(address, **pool)

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

    @event.listens_for(engine.sync_engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
