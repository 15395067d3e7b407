"""What an imagining needs, on its way from the blob store to the engine."""

import hashlib
from pathlib import Path
from uuid import uuid4

import pytest

from gpu_worker.pipe import ImaginingDone, PictureFile
from gpu_worker.shelf import Shelf
from gpu_worker.transfer import CannotFetch, fetch_imagining, store_result
from storage.blobs import Blobs
from storage.contract import Adapter, FailureReason, Imagined, ImagineRequest, Source, Subject, Tool

PICTURE, MASK = "pictures/a/1/0.png", "masks/a/0.png"


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs.open(str(tmp_path / "blobs"))


@pytest.fixture
def shelf(blobs: Blobs, tmp_path: Path) -> Shelf:
    return Shelf(blobs, tmp_path / "shelf")


async def adapter(blobs: Blobs, number: int) -> Adapter:
    key, content = f"models/{number}/adapter.safetensors", f"model {number}".encode()
    await blobs.put(key, content)
    return Adapter(model=f"{number:032x}", key=key, digest=hashlib.sha256(content).hexdigest())


async def request(blobs: Blobs) -> ImagineRequest:
    """Two subjects, and a part of a picture to be drawn anew."""
    await blobs.put(PICTURE, b"picture")
    await blobs.put(MASK, b"mask")
    return ImagineRequest(
        job=uuid4().hex,
        attempt=1,
        base="demo",
        prompt="sks dog and wsw cat",
        subjects=(
            Subject(adapter=await adapter(blobs, 1), prompt="sks dog"),
            Subject(adapter=await adapter(blobs, 2), prompt="wsw cat"),
        ),
        source=Source(tool=Tool.INPAINT, key=PICTURE, mask=MASK),
        seed=1,
    )


async def test_adapters_picture_and_mask_are_brought(blobs: Blobs, shelf: Shelf, tmp_path: Path) -> None:
    order = await fetch_imagining(shelf, blobs, await request(blobs), tmp_path)
    assert [path.read_bytes() for path in order.subjects] == [b"model 1", b"model 2"]
    assert order.adapter is None
    assert order.source is not None
    assert order.mask is not None
    assert (order.source.read_bytes(), order.mask.read_bytes()) == (b"picture", b"mask")


async def test_a_score_comes_along_with_its_picture(blobs: Blobs, tmp_path: Path) -> None:
    asked = ImagineRequest(job=uuid4().hex, attempt=1, base="demo", prompt="sks dog", seed=1, count=2, scored=True)
    files = []
    for place, score in enumerate((0.7, None)):
        (tmp_path / f"{place}.png").write_bytes(b"picture")
        files.append(PictureFile(path=tmp_path / f"{place}.png", seed=place, width=64, height=64, score=score))
    stored = await store_result(blobs, asked, ImaginingDone(job=asked.job, pictures=tuple(files), seconds=1))
    assert isinstance(stored, Imagined)
    assert [picture.score for picture in stored.pictures] == [0.7, None]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (PICTURE, FailureReason.PICTURE_MISSING),
        (MASK, FailureReason.PICTURE_MISSING),
        ("models/2/adapter.safetensors", FailureReason.MODEL_MISSING),
    ],
)
async def test_what_is_gone_is_named(
    blobs: Blobs, shelf: Shelf, tmp_path: Path, key: str, reason: FailureReason
) -> None:
    asked = await request(blobs)
    await blobs.delete(key)
    with pytest.raises(CannotFetch) as caught:
        await fetch_imagining(shelf, blobs, asked, tmp_path)
    assert caught.value.reason is reason


async def test_a_subject_that_is_not_what_was_published_is_refused(blobs: Blobs, shelf: Shelf, tmp_path: Path) -> None:
    asked = await request(blobs)
    await blobs.put(asked.subjects[1].adapter.key, b"another")
    with pytest.raises(CannotFetch) as caught:
        await fetch_imagining(shelf, blobs, asked, tmp_path)
    assert caught.value.reason is FailureReason.MODEL_CORRUPT
