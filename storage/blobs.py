"""Bytes under opaque keys: in a folder by default, in any object store by URL.

A blob appears whole or not at all. A key is made of ids and fixed words alone (`storage.contract`), and any other is
refused here, so that nothing a person typed can choose a path.
"""

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Self

import obstore
from obstore.store import LocalStore, ObjectStore, from_url
from pydantic import TypeAdapter, ValidationError

from storage.contract import BlobKey
from storage.errors import BlobMissing, InvalidBlobKey

__all__ = ["BlobEntry", "BlobMissing", "BlobStream", "Blobs", "InvalidBlobKey"]

KEY: TypeAdapter[str] = TypeAdapter(BlobKey)
STAGED = re.compile(r".+#[0-9]+")
CHUNK_BYTES = 1 << 20
SMALL_BYTES = 8 << 20
"""Up to here a file goes out in one request; a larger one in parts."""


@dataclass(frozen=True, kw_only=True)
class BlobEntry:
    key: str
    size: int
    modified: datetime


@dataclass(frozen=True, kw_only=True)
class BlobStream:
    size: int
    chunks: AsyncIterator[bytes]


class Blobs:
    def __init__(self, store: ObjectStore, folder: Path | None = None) -> None:
        self._store = store
        self._folder = folder

    @classmethod
    def open(cls, url: str) -> Self:
        """Open a folder (a path or a file:// URL), or a store such as s3://bucket/prefix.

        A store's credentials come from the environment under their usual names (AWS_ACCESS_KEY_ID and the like).
        """
        scheme, separator, rest = url.partition("://")
        if separator and scheme != "file":
            return cls(from_url(url))
        folder = Path(rest if separator else url).expanduser().resolve()
        folder.mkdir(parents=True, exist_ok=True)
        return cls(LocalStore(folder, automatic_cleanup=True), folder)

    async def put(self, key: str, data: bytes, content_type: str | None = None) -> str:
        """Store the bytes, over any that were there; returns their SHA-256 in hex."""
        attributes = {"Content-Type": content_type} if content_type and self._folder is None else None
        await obstore.put_async(self._store, _checked(key), data, attributes=attributes)
        await self._settle(key)
        return hashlib.sha256(data).hexdigest()

    async def put_file(self, key: str, path: Path) -> str:
        """Store a file of any size; returns the SHA-256, in hex, of the bytes that were stored."""
        digest = hashlib.sha256()
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size <= SMALL_BYTES:
                return await self.put(key, file.read())
            await obstore.put_async(self._store, _checked(key), _read(file, digest))
        await self._settle(key)
        return digest.hexdigest()

    async def get(self, key: str) -> bytes:
        """Raises `BlobMissing`."""
        try:
            found = await obstore.get_async(self._store, _checked(key))
            return (await found.bytes_async()).to_bytes()
        except FileNotFoundError as error:
            raise BlobMissing(key) from error

    async def get_file(self, key: str, path: Path) -> str:
        """Fetch a blob into a file that appears whole or not at all; returns its SHA-256. Raises `BlobMissing`."""
        digest = hashlib.sha256()
        try:
            found = await obstore.get_async(self._store, _checked(key))
        except FileNotFoundError as error:
            raise BlobMissing(key) from error
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as file:
            async for chunk in found.stream(CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
        part.replace(path)
        return digest.hexdigest()

    async def open_stream(self, key: str) -> BlobStream:
        """Read a blob of any size piece by piece. Raises `BlobMissing`."""
        try:
            found = await obstore.get_async(self._store, _checked(key))
        except FileNotFoundError as error:
            raise BlobMissing(key) from error
        return BlobStream(size=found.meta["size"], chunks=(bytes(chunk) async for chunk in found.stream(CHUNK_BYTES)))

    async def delete(self, key: str) -> None:
        """Delete the blob; one that is gone already is no error."""
        try:
            await obstore.delete_async(self._store, _checked(key))
        except FileNotFoundError:
            return

    async def exists(self, key: str) -> bool:
        try:
            await obstore.head_async(self._store, _checked(key))
        except FileNotFoundError:
            return False
        return True

    async def list(self, prefix: str) -> list[str]:
        """Return the keys below `prefix`, a whole number of parts such as `checkpoints/<job>`."""
        return sorted([entry.key async for entry in self.entries(prefix)])

    async def entries(self, prefix: str) -> AsyncIterator[BlobEntry]:
        async for chunk in obstore.list(self._store, prefix):
            for found in chunk:
                if not _is_key(found["path"]):  # somebody else's file
                    continue
                yield BlobEntry(key=found["path"], size=found["size"], modified=found["last_modified"])

    def free_bytes(self) -> int | None:
        """Return how much still fits into the folder's disk; None for a bucket, which has no end."""
        return None if self._folder is None else shutil.disk_usage(self._folder).free

    async def drop_unfinished(self, before: datetime) -> None:
        """Delete what writes that were killed left in the folder, unless it was written to since `before`.

        A bucket's own rules do this for uploads in parts.
        """
        if self._folder is not None:
            await asyncio.to_thread(_drop_staged, self._folder, before.timestamp())

    async def _settle(self, key: str) -> None:
        """Bring a file of the folder to the disk, so that a row which names it cannot outlive it in a power cut."""
        if self._folder is not None:
            await asyncio.to_thread(_flush, self._folder / key)


def _checked(key: str) -> str:
    if not _is_key(key):
        raise InvalidBlobKey
    return key


def _is_key(text: str) -> bool:
    try:
        KEY.validate_python(text)
    except ValidationError:
        return False
    return True


async def _read(file: BinaryIO, digest: "hashlib._Hash") -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
        digest.update(chunk)
        yield chunk


def _flush(path: Path) -> None:
    for place in (path, path.parent):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _drop_staged(folder: Path, before: float) -> None:
    """obstore writes `key` as `key#1`, or the next number that is free, until it is whole."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            with contextlib.suppress(FileNotFoundError):  # it has just become whole
                if STAGED.fullmatch(name) and path.stat().st_mtime < before:
                    path.unlink()
