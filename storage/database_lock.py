"""One bot to a database: two would each send every message, and neither would know of the other's.

A lock file lies beside the SQLite file for as long as the process lives; the kernel takes the lock back when it dies,
however it dies. Postgres has no file to lock: there, whoever deploys the bot sees to it that one runs.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from storage.errors import DatabaseInUse


@contextmanager
def hold_database(url: str) -> Iterator[None]:
    """Be the one bot on this database until the block ends. Raises `DatabaseInUse`."""
    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        yield
        return
    with hold(Path(str(address.database))):
        yield


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Be the one process that works on what lies under this path. Raises `DatabaseInUse`."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("a", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatabaseInUse(path.name) from None
        yield
