"""Models that this worker has fetched, kept on its disk for whoever draws with them next.

They lie in the worker's own folder and go with it; nobody's stays for longer than an hour after its last use. What is
on the shelf is used only while the blob store has it as well: a model that was deleted is drawn by nobody.
"""

import asyncio
import contextlib
import hashlib
import os
import tempfile
import time
from pathlib import Path

from storage.blobs import Blobs
from storage.contract import Adapter

MOST_BYTES = 2 << 30
KEPT_SECONDS = 3600.0
TIDY_SECONDS = 60.0


class Shelf:
    def __init__(
        self, blobs: Blobs, folder: Path, *, most_bytes: int = MOST_BYTES, kept_seconds: float = KEPT_SECONDS
    ) -> None:
        self._blobs, self._folder = blobs, folder
        self._most_bytes, self._kept_seconds = most_bytes, kept_seconds
        folder.mkdir(exist_ok=True)

    async def bring(self, adapter: Adapter, path: Path) -> str:
        """Put a model's file at `path`, on the shelf's own disk, and return its SHA-256. Raises `BlobMissing`."""
        kept = self._folder / adapter.digest
        if await self._blobs.exists(adapter.key) and await asyncio.to_thread(_take, kept, adapter.digest, path):
            return adapter.digest
        kept.unlink(missing_ok=True)
        digest = await self._blobs.get_file(adapter.key, path)
        if digest == adapter.digest:
            with contextlib.suppress(FileExistsError):  # another job brought it at the same time
                os.link(path, kept)
        self._tidy()
        return digest

    async def stock(self, adapter: Adapter) -> Path | None:
        """Have a model on the shelf and return where it lies; None when it is damaged. Raises `BlobMissing`."""
        with tempfile.TemporaryDirectory(dir=self._folder.parent, ignore_cleanup_errors=True) as folder:
            whole = await self.bring(adapter, Path(folder) / "adapter") == adapter.digest
        return self._folder / adapter.digest if whole else None

    async def keep_tidy(self) -> None:
        """Remove what was not used for long, also while nobody asks for anything."""
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            self._tidy()

    def _tidy(self) -> None:
        """Remove what was not used for long, and what is too much, the longest unused first."""
        known = [(path.stat(), path) for path in self._folder.iterdir()]
        room = self._most_bytes
        for about, path in sorted(known, key=lambda entry: entry[0].st_mtime, reverse=True):
            room -= about.st_size
            if room < 0 or about.st_mtime < time.time() - self._kept_seconds:
                path.unlink(missing_ok=True)


def _take(kept: Path, digest: str, path: Path) -> bool:
    """Link a file of the shelf to `path` if it is there, and whole."""
    try:
        with kept.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                return False
        os.utime(kept)
        os.link(kept, path)
    except FileNotFoundError:
        return False
    return True
