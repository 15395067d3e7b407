import asyncio
import contextlib
import io
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError

from storage.database import Database, insert_new
from storage.migrations import configuration, upgrade
from storage.schema import Base, Consent, Owner

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_migrations_lead_to_the_schema(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.begin() as connection:
        upgrade(connection)
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_migrations_can_be_written_for_postgres() -> None:
    config = configuration()
    config.output_buffer = io.StringIO()
    config.attributes["dialect_name"] = "postgresql"
    command.upgrade(config, "head", sql=True)
    sql = config.output_buffer.getvalue()
    assert "WHERE deleted_at IS NULL" in sql
    assert "TIMESTAMP WITH TIME ZONE" in sql
    for table in Base.metadata.tables:
        assert f"CREATE TABLE {table} " in sql


def test_a_migration_that_breaks_references_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check runs inside the migration's own transaction, so that the old schema is still there."""
    path = tmp_path / "a.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        upgrade(connection, "0001")
        connection.execute(
            text(
                "INSERT INTO consents (owner_id, text_version, text_digest, interaction_id, at)"
                " VALUES (404, '1', 'd', 1, '2026-01-01')"
            )
        )
    engine.dispose()
    with pytest.raises(RuntimeError, match="1 rows"):
        asyncio.run(Database.open(f"sqlite:///{path}"))


async def test_every_connection_is_durable_and_strict(database: Database) -> None:
    pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only")
    found = {}
    for name, session_of in (("writer", database.write), ("reader", database.read), ("survey", database.survey)):
        async with session_of() as session:
            found[name] = [await session.scalar(text(f"PRAGMA {pragma}")) for pragma in pragmas]
    reader = ["wal", 2, 1, 10_000, 1]
    assert found == {"writer": ["wal", 2, 1, 10_000, 0], "reader": reader, "survey": reader}


@pytest.mark.parametrize("way", ["read", "survey"])
async def test_a_reader_cannot_write(database: Database, way: str) -> None:
    with pytest.raises(OperationalError, match="readonly"):
        async with getattr(database, way)() as session:
            await insert_new(session, Owner, id=1, created_at=NOW)


async def test_others_go_on_during_a_survey(database: Database) -> None:
    many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200000) SELECT count(*) FROM n"

    async def survey() -> object:
        async with database.survey() as session:
            return await session.scalar(text(many))

    task, reads = asyncio.ensure_future(survey()), 0
    while not task.done():
        async with database.read() as session:
            await session.get(Owner, 1)
        await asyncio.sleep(0)
        reads += 1
    assert await task == 200_000
    assert reads > 1


@pytest.fixture
def other_program(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """It writes into the database of the tests, as a back-up may do, and takes its time."""
    with contextlib.closing(sqlite3.connect(tmp_path / "dreambot.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


async def test_reading_goes_on_while_another_program_holds_up_a_write(
    database: Database, other_program: sqlite3.Connection
) -> None:
    task = asyncio.ensure_future(add_owner(database))
    for _ in range(20):
        await asyncio.sleep(0.005)
        async with database.read() as session:
            assert await session.get(Owner, 1) is None
    assert not task.done()

    other_program.execute("COMMIT")
    await task
    async with database.read() as session:
        assert await session.get(Owner, 1) is not None


async def test_a_write_that_is_cancelled_while_it_waits_leaves_the_way_free(
    database: Database, other_program: sqlite3.Connection
) -> None:
    task = asyncio.ensure_future(add_owner(database))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.sleep(0.05)
    other_program.execute("COMMIT")
    with pytest.raises(asyncio.CancelledError):
        await task

    await add_owner(database)


async def add_owner(database: Database) -> None:
    async with database.write() as session:
        session.add(Owner(id=1, created_at=NOW))


async def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    stranger = Consent(owner_id=404, text_version="1", text_digest="d", interaction_id=1, at=NOW)
    with pytest.raises(IntegrityError):
        async with database.write() as session:
            session.add_all([Owner(id=1, created_at=NOW), stranger])
    async with database.read() as session:
        assert (await session.scalars(select(Owner))).all() == []


async def test_a_cancelled_transaction_leaves_nothing_and_blocks_nobody(database: Database) -> None:
    inside = asyncio.Event()

    async def write_for_ever() -> None:
        async with database.write() as session:
            session.add(Owner(id=1, created_at=NOW))
            await session.flush()
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(write_for_ever())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with database.write() as session:
        assert await session.get(Owner, 1) is None


async def test_reading_goes_on_during_a_write_and_sees_what_was_committed(database: Database) -> None:
    async with database.write() as writing:
        writing.add(Owner(id=1, created_at=NOW))
        await writing.flush()
        async with database.read() as reading:
            assert await reading.get(Owner, 1) is None
    async with database.read() as reading:
        assert await reading.get(Owner, 1) is not None


async def test_writers_wait_for_each_other(database: Database) -> None:
    """Each reads what the one before has written: none works on an old state."""

    async def add_one_more() -> None:
        async with database.write() as session:
            owners = (await session.scalars(select(Owner))).all()
            session.add(Owner(id=len(owners) + 1, created_at=NOW))

    await asyncio.gather(*(add_one_more() for _ in range(20)))
    async with database.read() as session:
        assert len((await session.scalars(select(Owner))).all()) == 20


async def test_what_was_written_is_there_after_a_reopening(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'dreambot.db'}"
    for known in (False, True):
        async with await Database.open(url) as database, database.write() as session:
            assert await insert_new(session, Owner, id=1, created_at=NOW) is not known


async def test_times_come_back_in_utc(database: Database) -> None:
    there = datetime(2026, 6, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    async with database.write() as session:
        session.add(Owner(id=1, created_at=there))
    async with database.read() as session:
        owner = await session.get_one(Owner, 1)
    assert owner.created_at == there
    assert owner.created_at.tzinfo is UTC

    with pytest.raises(StatementError, match="without a zone"):
        async with database.write() as session:
            session.add(Owner(id=2, created_at=datetime(2026, 6, 1)))  # noqa: DTZ001


async def test_an_address_in_memory_is_refused() -> None:
    with pytest.raises(ValueError, match="file"):
        await Database.open("sqlite://")


async def test_every_table_is_migrated(database: Database) -> None:
    async with database.read() as session:
        tables = await session.run_sync(lambda sync: inspect(sync.connection()).get_table_names())
    assert set(tables) == {*Base.metadata.tables, "alembic_version"}
