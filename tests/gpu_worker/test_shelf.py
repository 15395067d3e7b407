"""The disk between the blob store and the engine: what is fetched once, and what never is used."""

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from gpu_worker import shelf as shelf_module
from gpu_worker.shelf import Shelf
from storage.blobs import Blobs
from storage.contract import Adapter
from storage.errors import BlobMissing
from tests.waiting import until


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs.open(str(tmp_path / "blobs"))


@pytest.fixture
def shelf(blobs: Blobs, tmp_path: Path) -> Shelf:
    return Shelf(blobs, tmp_path / "shelf", most_bytes=25)


async def publish(blobs: Blobs, number: int) -> Adapter:
    """Store a model of ten bytes."""
    content = f"model {number:4d}".encode()
    key = f"models/{number}/adapter.safetensors"
    await blobs.put(key, content)
    return Adapter(model=f"{number:032x}", key=key, digest=hashlib.sha256(content).hexdigest())


def kept(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "shelf").iterdir()}


async def test_a_model_is_fetched_once(
    blobs: Blobs, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = await publish(blobs, 1)
    assert await shelf.bring(adapter, tmp_path / "a") == adapter.digest
    monkeypatch.setattr(Blobs, "get_file", None)
    assert await shelf.bring(adapter, tmp_path / "b") == adapter.digest
    assert (tmp_path / "b").read_bytes() == b"model    1"


async def test_a_deleted_model_is_drawn_by_nobody(blobs: Blobs, shelf: Shelf, tmp_path: Path) -> None:
    adapter = await publish(blobs, 1)
    await shelf.bring(adapter, tmp_path / "a")
    await blobs.delete(adapter.key)
    with pytest.raises(BlobMissing):
        await shelf.bring(adapter, tmp_path / "b")
    assert not kept(tmp_path)


async def test_a_file_that_was_damaged_is_fetched_again(blobs: Blobs, shelf: Shelf, tmp_path: Path) -> None:
    adapter = await publish(blobs, 1)
    await shelf.bring(adapter, tmp_path / "a")
    Path(tmp_path / "a").unlink()
    (tmp_path / "shelf" / adapter.digest).write_bytes(b"bad")
    assert await shelf.bring(adapter, tmp_path / "b") == adapter.digest
    assert (tmp_path / "b").read_bytes() == b"model    1"


async def test_a_file_that_is_not_what_was_published_is_not_kept(blobs: Blobs, shelf: Shelf, tmp_path: Path) -> None:
    adapter = await publish(blobs, 1)
    await blobs.put(adapter.key, b"another")
    assert await shelf.bring(adapter, tmp_path / "a") != adapter.digest
    assert not kept(tmp_path)


async def test_it_holds_what_was_used_last_and_not_for_long(blobs: Blobs, shelf: Shelf, tmp_path: Path) -> None:
    adapters = [await publish(blobs, number) for number in range(3)]
    for number, adapter in enumerate(adapters[:2]):
        await shelf.bring(adapter, tmp_path / f"{number}")
        os.utime(tmp_path / "shelf" / adapter.digest, (1e9 + number, 1e9 + number))
    await shelf.bring(adapters[0], tmp_path / "again")  # the other one is the oldest now
    await shelf.bring(adapters[2], tmp_path / "2")
    assert kept(tmp_path) == {adapters[0].digest, adapters[2].digest}
    assert (tmp_path / "1").is_file()  # a job's own file stays while it works
    brief = Shelf(blobs, tmp_path / "shelf", kept_seconds=-1)
    await brief.bring(adapters[1], tmp_path / "last")
    assert not kept(tmp_path)


async def test_an_idle_worker_gets_rid_of_it_as_well(
    blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf_module, "TIDY_SECONDS", 0.01)
    shelf = Shelf(blobs, tmp_path / "shelf", kept_seconds=0.2)
    await shelf.bring(await publish(blobs, 1), tmp_path / "a")
    assert kept(tmp_path)

    async def empty() -> bool:
        return not kept(tmp_path)

    async with asyncio.TaskGroup() as group:
        tidying = group.create_task(shelf.keep_tidy())
        await until(empty)
        tidying.cancel()
