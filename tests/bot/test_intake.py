"""The intake by itself: what it takes, what it leaves behind, and what the words for every problem are."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import discord
import pytest

from bot.decode import Problem
from bot.drafts import DraftGone
from bot.explanations import EXPLANATIONS, explain
from bot.intake import PhotosRefused, TakenIn, TooFewPhotos, TooManyPhotos, take_in
from bot.job_text import FAILURES
from bot.photo_text import PHOTO_PROBLEMS
from bot.services import Services
from storage.contract import FailureReason, SubjectKind, photo_key
from storage.errors import UserError
from tests.bot import photos

JOB = "0123456789abcdef" * 2


@dataclass
class Upload:
    """An attachment as the intake sees it; its bytes come through `Services.fetch`."""

    data: bytes
    claimed_size: int | None = None

    @property
    def size(self) -> int:
        return len(self.data) if self.claimed_size is None else self.claimed_size


async def intake(services: Services, uploads: Sequence[Upload], *, fetch: Any = None) -> TakenIn:
    async def read(upload: Any) -> bytes:
        return bytes(upload.data)

    services = replace(services, fetch=fetch or read)
    return await take_in(services, JOB, cast("Sequence[discord.Attachment]", uploads), SubjectKind.PET)


def uploads(files: Sequence[bytes]) -> list[Upload]:
    return [Upload(data) for data in files]


async def test_stores_clean_pixels_under_the_jobs_keys(services: Services) -> None:
    taken = await intake(services, uploads(photos.real("teapot")))
    assert [photo.key for photo in taken.photos] == [photo_key(JOB, n) for n in range(1, len(taken.photos) + 1)]
    assert await services.blobs.list("photos") == sorted(photo.key for photo in taken.photos)
    assert {(photo.width, photo.height) for photo in taken.photos} <= {(768, 768), (703, 703)}
    for photo in taken.photos:
        data = await services.blobs.get(photo.key)
        assert data.startswith(b"\x89PNG")
        assert await services.blobs.put(photo.key, data) == photo.sha256


async def test_counts_before_it_fetches(services: Services) -> None:
    async def never(_: Any) -> bytes:
        raise AssertionError

    with pytest.raises(TooManyPhotos) as many:
        await intake(services, uploads(photos.drawn(11)), fetch=never)
    assert many.value.count == 11
    with pytest.raises(TooFewPhotos):
        await intake(services, uploads(photos.drawn(2)), fetch=never)
    with pytest.raises(PhotosRefused) as large:
        await intake(services, [*uploads(photos.drawn(3)), Upload(b"", claimed_size=21 * 2**20)], fetch=never)
    assert large.value.problems == ((4, Problem.TOO_LARGE),)


async def test_nothing_stays_behind_when_it_is_stopped(services: Services) -> None:
    fetched = asyncio.Event()

    async def hang_at_the_third(upload: Any) -> bytes:
        if upload.data == b"hang":
            fetched.set()
            await asyncio.Event().wait()
        return bytes(upload.data)

    files = [*uploads(photos.drawn(2)), Upload(b"hang")]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(intake(services, files, fetch=hang_at_the_third))
        await fetched.wait()
        assert len(await services.blobs.list("photos")) == 2
        task.cancel()
    assert await services.blobs.list("photos") == []


async def test_decodes_few_peoples_photos_at_once(services: Services) -> None:
    """The slots come free again, also after photos that were refused."""
    for _ in range(3):
        with pytest.raises(PhotosRefused):
            await intake(services, uploads([b"", *photos.drawn(3)]))
    assert not services.decoders.locked()
    assert len((await intake(services, uploads(photos.drawn(3)))).photos) == 3


def subclasses(kind: type[UserError]) -> set[type[UserError]]:
    return {kind, *(found for child in kind.__subclasses__() for found in subclasses(child))}


def test_every_error_has_words() -> None:
    ours = {error for error in subclasses(UserError) if error.__module__.startswith(("bot.", "storage."))}
    assert ours - {UserError} == set(EXPLANATIONS)
    assert set(PHOTO_PROBLEMS) == set(Problem)
    assert set(FAILURES) == set(FailureReason)


def test_words_name_photos_by_position() -> None:
    words = explain(PhotosRefused([(2, Problem.MOVING), (7, Problem.GONE)]))
    assert words.splitlines()[0].startswith("Photo 2 moves")
    assert words.splitlines()[1].startswith("Photo 7 could not be fetched")
    assert "`/train`" in explain(DraftGone())
