"""Where a job's files lie while it is in work: a folder of its own, gone when the job ends.

A folder whose worker was killed is removed by the next worker that starts, for its lock is free then: nobody's photos
stay on the machine.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"
UNLOCKED = ".new-"
"""How a folder's name begins until its lock is taken."""


class Workspace:
    """The folders of one worker under `cache/jobs`; several workers may share the cache."""

    def __init__(self, cache: Path) -> None:
        """Make the worker's own folder and remove those of workers that are gone."""
        root = cache.absolute() / "jobs"
        root.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=root, prefix=UNLOCKED))
        self._lock = (new / LOCK).open("wb")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._folder = new.rename(root / new.name.removeprefix(UNLOCKED))
        self.models = self._folder / "models"
        """For what jobs share, on the same disk as they are."""
        for other in root.iterdir():
            if other != self._folder and not other.name.startswith(UNLOCKED) and _is_abandoned(other):
                shutil.rmtree(other, ignore_errors=True)

    @contextmanager
    def job_folder(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def close(self) -> None:
        self._lock.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    try:
        with (folder / LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError, BlockingIOError):
        return False
    return True
