"""Disks that fail, at SQLite's own seams: it refuses to grow its file, or to write at all."""

import contextlib
from collections.abc import AsyncIterator

from sqlalchemy.util import greenlet_spawn

from storage.database import Database


@contextlib.asynccontextmanager
async def read_only(database: Database) -> AsyncIterator[None]:
    """Nothing can be written: "attempt to write a readonly database"."""
    await _set(database, "query_only = ON")
    try:
        yield
    finally:
        await _set(database, "query_only = OFF")


@contextlib.asynccontextmanager
async def full(database: Database) -> AsyncIterator[None]:
    """The file cannot grow by a page: "database or disk is full". What fits into its pages still goes in."""
    await _set(database, "max_page_count = 1")  # as small as the file is now
    try:
        yield
    finally:
        await _set(database, "max_page_count = 1000000")


async def _set(database: Database, pragma: str) -> None:
    """Set it on the one connection that writes, outside any transaction."""

    def set_now() -> None:
        connection = database._writer.sync_engine.raw_connection()
        connection.cursor().execute(f"PRAGMA {pragma}")
        connection.close()

    await greenlet_spawn(set_now)
