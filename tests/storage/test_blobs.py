import asyncio
import hashlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.blobs import SMALL_BYTES, Blobs
from storage.contract import adapter_key, checkpoint_key, photo_key, picture_key
from storage.errors import BlobMissing, InvalidBlobKey

KEY = "photos/0123/0.png"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return Blobs.open("memory:///" if request.param == "memory" else str(tmp_path / "blobs"))


async def test_gives_back_what_was_put_under_its_digest(store: Blobs) -> None:
    digest = await store.put(KEY, b"first", "image/png")
    assert digest == hashlib.sha256(b"first").hexdigest()
    assert await store.get(KEY) == b"first"

    await store.put(KEY, b"second")
    assert await store.get(KEY) == b"second"


async def test_knows_what_is_missing(store: Blobs) -> None:
    assert not await store.exists(KEY)
    with pytest.raises(BlobMissing):
        await store.get(KEY)
    await store.delete(KEY)

    await store.put(KEY, b"x")
    assert await store.exists(KEY)
    await store.delete(KEY)
    assert not await store.exists(KEY)


async def test_lists_below_whole_parts_of_a_key(store: Blobs) -> None:
    for key in ("samples/ab/2/b.png", "samples/ab/1/a.png", "samples/abc/1/c.png", "pictures/ab/1/0.png"):
        await store.put(key, b"12345")
    assert await store.list("samples/ab") == ["samples/ab/1/a.png", "samples/ab/2/b.png"]
    assert [entry.size async for entry in store.entries("pictures")] == [5]
    assert await store.list("nothing") == []


@pytest.mark.parametrize("size", [0, 1000, SMALL_BYTES + 12345])
async def test_streams_files_of_any_size_both_ways(store: Blobs, tmp_path: Path, size: int) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(os.urandom(size))
    digest = await store.put_file(KEY, source)
    assert digest == hashlib.sha256(source.read_bytes()).hexdigest()
    assert await store.get_file(KEY, copy) == digest
    assert copy.read_bytes() == source.read_bytes()


async def test_a_missing_blob_leaves_no_file(store: Blobs, tmp_path: Path) -> None:
    with pytest.raises(BlobMissing):
        await store.get_file(KEY, tmp_path / "copy")
    assert names(tmp_path) <= {"blobs"}


async def test_a_reader_sees_old_or_new_bytes_but_no_mixture(blobs: Blobs) -> None:
    size = 1 << 18
    await blobs.put(KEY, b"a" * size)

    async def rewrite() -> None:
        for letter in (b"b", b"c", b"d", b"e"):
            await blobs.put(KEY, letter * size)

    async def look() -> None:
        for _ in range(20):
            seen = await blobs.get(KEY)
            assert len(seen) == size
            assert len(set(seen)) == 1

    await asyncio.gather(rewrite(), look(), look())


@pytest.mark.parametrize(
    "key",
    ["", "photo.png", "/etc/passwd", "../x/y", "a/../b", "a/./b", "a//b", "a/b\n", "A/b", "a/é", "a/" + "b" * 300],
)
async def test_refuses_keys_that_nothing_makes(store: Blobs, key: str) -> None:
    with pytest.raises(InvalidBlobKey):
        await store.put(key, b"x")
    with pytest.raises(InvalidBlobKey):
        await store.get(key)


@given(key=st.text() | st.text(alphabet="ab./\\\0-_~\n") | st.from_regex(r"[a-z./]{1,12}"))
async def test_no_key_escapes_the_folder(key: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "blobs"
        blobs = Blobs.open(str(root))
        try:
            await blobs.put(key, b"x")
        except InvalidBlobKey:
            assert not list(root.iterdir())
        else:
            assert (root / key).resolve().is_relative_to(root)
            assert await blobs.list(key.split("/")[0]) == [key]
        assert names(Path(name)) == {"blobs"}


@given(st.integers(0, 9), st.uuids(version=4), st.integers(1, 99))
async def test_the_keys_of_the_contract_are_accepted(position: int, job: object, attempt: int) -> None:
    blobs, hexed = Blobs.open("memory:///"), str(job).replace("-", "")
    for key in (
        photo_key(hexed, position),
        adapter_key(hexed, hexed, attempt),
        picture_key(hexed, attempt, position),
        checkpoint_key(hexed, attempt, position * 100),
    ):
        await blobs.put(key, b"x")
