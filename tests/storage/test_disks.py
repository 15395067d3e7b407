import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from storage.database import Database
from storage.schema import InboxEntry
from tests.storage.disks import full, read_only
from tests.storage.examples import NOW

MANY = 500


def events(first: int) -> list[InboxEntry]:
    return [InboxEntry(event_id=f"{number:064d}", at=NOW) for number in range(first, first + MANY)]


async def count(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(InboxEntry)) or 0


async def test_a_full_disk_undoes_the_whole_transaction_and_reading_goes_on(database: Database) -> None:
    async with database.write() as session:
        session.add_all(events(0))
    async with full(database):
        with pytest.raises(OperationalError, match="database or disk is full"):
            async with database.write() as session:
                session.add_all(events(MANY))
        assert await count(database) == MANY
    async with database.write() as session:
        session.add_all(events(MANY))
    assert await count(database) == 2 * MANY


async def test_a_disk_that_became_read_only_leaves_reading(database: Database) -> None:
    async with read_only(database):
        with pytest.raises(OperationalError, match="readonly"):
            async with database.write() as session:
                session.add_all(events(0))
        assert await count(database) == 0
