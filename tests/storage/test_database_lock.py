"""One bot to a database, for as long as it lives and no longer."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from storage.database_lock import hold_database
from storage.errors import DatabaseInUse

HOLD = """
import sys, time
from storage.database_lock import hold_database
with hold_database(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


async def test_a_killed_process_leaves_the_database_free(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'data' / 'dreambot.db'}"
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLD, url, stdout=asyncio.subprocess.PIPE)
    assert other.stdout is not None
    assert await other.stdout.readline() == b"held\n"
    try:
        with pytest.raises(DatabaseInUse, match=r"dreambot\.db"), hold_database(url):
            pass
    finally:
        other.send_signal(signal.SIGKILL)
        await other.communicate()
    for _ in range(2):  # and whoever stops in order leaves it free as well
        with hold_database(url):
            pass


def test_other_databases_and_postgres_stand_apart(tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path / 'a.db'}", f"sqlite:///{tmp_path / 'b.db'}"]
    with hold_database(urls[0]), hold_database(urls[1]):
        pass
    with hold_database("postgresql://host/bot"), hold_database("postgresql://host/bot"):
        pass
