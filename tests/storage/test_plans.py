"""What is asked again and again finds its rows by an index: the work of a look does not grow with the history."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession

from bot.outbox import WINDOWS
from storage.contract import adapter_key, checkpoint_key, photo_key
from storage.database import Database
from storage.deliveries import due_deliveries, only_progress
from storage.leftovers import awaited_photos, forget_prompts, prune_inbox, ready_models, unreferenced
from storage.outbox import jobs_in_redis, jobs_to_cancel, next_releases
from tests.storage.examples import NOW, accepted_imagining, accepted_training

SMALL = {"outbox", "CONSTANT"}
"""No tables of history: the outbox holds nothing of jobs that have ended."""
JOB, MODEL = "a" * 32, "b" * 32


async def sweep(session: AsyncSession) -> object:
    return await unreferenced(session, [photo_key(JOB, 1), adapter_key(MODEL, JOB, 1), checkpoint_key(JOB, 1, 10)])


async def deliver(session: AsyncSession) -> object:
    return await only_progress(session, await due_deliveries(session, NOW, 50, busy=[1], paced=[2]))


LOOKS: dict[str, Callable[[AsyncSession], Awaitable[object]]] = {
    "deliveries": deliver,
    "releases": lambda session: next_releases(session, WINDOWS),
    "wishes to cancel": jobs_to_cancel,
    "jobs in Redis": jobs_in_redis,
    "orphans": sweep,
    "photos of what waits": lambda session: awaited_photos(session, 50),
    "prompts": lambda session: forget_prompts(session, NOW, 500),
    "inbox": lambda session: prune_inbox(session, NOW, 500),
    "models": lambda session: ready_models(session, "", 500),
}


@asynccontextmanager
async def plans(database: Database) -> AsyncIterator[list[str]]:
    """Collect how SQLite finds the rows of each statement in the block."""
    statements: list[tuple[str, Any]] = []
    found: list[str] = []
    engine = database._writer.sync_engine

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)
    async with database.write() as session:
        connection = (await session.connection()).sync_connection
        assert connection is not None
        for statement, parameters in statements:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found += [str(row[-1]) for row in rows.all()]


@pytest.mark.parametrize("look", LOOKS)
async def test_no_look_reads_a_whole_table_of_history(database: Database, look: str) -> None:
    await accepted_training(database, at=NOW - timedelta(hours=1))
    await accepted_imagining(database, at=NOW - timedelta(hours=1))
    async with plans(database) as found, database.write() as session:
        await LOOKS[look](session)
    scanned = {match[1] for step in found if (match := re.match(r"SCAN (\w+)(?! USING (?:COVERING )?INDEX)", step))}
    assert found
    assert scanned - SMALL == set(), found


async def test_a_scan_would_be_noticed(database: Database) -> None:
    async with plans(database) as found, database.write() as session:
        await session.execute(text("SELECT id FROM jobs WHERE seconds > 3"))
    assert any(step.startswith("SCAN jobs") for step in found)
