"""SQLite on the event loop's own thread, for SQLAlchemy's asyncio side: `sqlite+inplace`.

What a command reads is found by an index within some hundred microseconds, less than it takes to wake another thread
and to be woken by it, which is what a driver with threads (aiosqlite) does several times for each statement. Only what
may wait for the disk or for a lock, the begin and the end of a transaction that writes, is left to a thread.
"""

import asyncio
import sqlite3
from collections.abc import Callable, MutableMapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from sqlalchemy import URL
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.pool import AsyncAdaptedQueuePool, Pool, PoolProxiedConnection
from sqlalchemy.util import await_only

DRIVER = "sqlite+inplace"
CACHED_STATEMENTS = 512
"""How many a connection keeps prepared; the driver's usual number is less than the bot has."""


class Cursor(sqlite3.Cursor):
    async def _async_soft_close(self) -> None:
        """Answer SQLAlchemy, which asks every cursor of its asyncio side to end what would need waiting for later."""


class Connection(sqlite3.Connection):
    def cursor(self, factory: None = None) -> Cursor:  # type: ignore[override]  # noqa: ARG002 -- one kind is enough
        return super().cursor(Cursor)


class InPlace(SQLiteDialect_pysqlite):
    """`begin` begins each transaction; with a `thread`, that is where transactions begin and end."""

    driver = "inplace"
    is_async = True
    supports_statement_cache = True

    def __init__(self, begin: str = "BEGIN", thread: Executor | None = None, **others: Any) -> None:  # noqa: ANN401
        super().__init__(**others)
        self._begin, self._thread = begin, thread

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:  # noqa: ARG003
        return AsyncAdaptedQueuePool

    def create_connect_args(self, url: URL) -> tuple[Sequence[Any], MutableMapping[str, Any]]:
        words, named = super().create_connect_args(url)
        return words, {**named, "factory": Connection, "cached_statements": CACHED_STATEMENTS}

    def do_begin(self, dbapi_connection: PoolProxiedConnection) -> None:
        self._run(dbapi_connection.execute, self._begin)

    def do_commit(self, dbapi_connection: PoolProxiedConnection) -> None:
        self._run(dbapi_connection.commit)

    def do_rollback(self, dbapi_connection: PoolProxiedConnection) -> None:
        if dbapi_connection.in_transaction:  # a pool asks for it after a commit as well
            self._run(dbapi_connection.rollback)

    def _run(self, work: Callable[..., object], *arguments: object) -> None:
        if self._thread is None:
            work(*arguments)
        else:
            await_only(_to_its_end(self._thread.submit(work, *arguments)))


async def _to_its_end(running: "Future[object]") -> None:
    """Wait for a thread's work even when cancelled meanwhile: until then the connection is not to be touched."""
    work, cancelled = asyncio.wrap_future(running), None
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    work.result()


registry.register("sqlite.inplace", __name__, InPlace.__name__)
