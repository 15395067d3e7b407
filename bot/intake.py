"""Take in a person's photos: count them, fetch them, decode them apart, look them over, and store clean pixels.

Discord's addresses for attachments expire, so photos are fetched at once and never later.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import discord

from bot.contact_sheet import Sight, draw_sheet, see
from bot.decode import Problem
from bot.decode_process import DecodeProcess
from bot.photo_checks import Advice, advise
from bot.services import Services
from storage.bases import native_side, photo_sizes
from storage.blobs import Blobs
from storage.contract import MAX_PHOTOS, MIN_PHOTOS, SubjectKind, photo_key
from storage.errors import UserError
from storage.trainings import NewPhoto

FETCH_SECONDS = 30.0


class TooFewPhotos(UserError):
    """`same` of the `count` photos are copies of others."""

    def __init__(self, count: int, same: int = 0) -> None:
        super().__init__(count, same)
        self.count, self.same = count, same


class TooManyPhotos(UserError):
    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


class PhotosRefused(UserError):
    """Some photos cannot be used; each is named by its position, which counts from 1."""

    def __init__(self, problems: Sequence[tuple[int, Problem]]) -> None:
        super().__init__(*problems)
        self.problems = tuple(problems)


Copy = tuple[int, int]
"""Two positions: the first photo is the very picture that the second is, and was left out."""


@dataclass(frozen=True)
class TakenIn:
    photos: tuple[NewPhoto, ...]
    copies: tuple[Copy, ...]
    advice: tuple[Advice, ...]
    """What to do better, by position."""
    sheet: bytes
    """A JPEG of what will be trained on."""


async def take_in(
    services: Services, job: str, attachments: Sequence[discord.Attachment], kind: SubjectKind
) -> TakenIn:
    """Store clean pixels of the photos under the keys of `job`; when this raises, nothing stays behind.

    Raises TooFewPhotos, TooManyPhotos, PhotosRefused.
    """
    check_sizes(attachments, services.settings.max_photo_mb)
    intake = _Intake(services, job, kind)
    try:
        async with services.decoders, DecodeProcess() as decoder:
            for position, attachment in enumerate(attachments, start=1):
                await intake.add(position, attachment, decoder)
        return await intake.finish()
    except BaseException:
        await delete_photos(services.blobs, intake.photos)
        raise


def check_sizes(attachments: Sequence[discord.Attachment], max_mb: float) -> None:
    """Refuse by what Discord says of the files, before any is fetched."""
    if len(attachments) < MIN_PHOTOS:
        raise TooFewPhotos(len(attachments))
    if len(attachments) > MAX_PHOTOS:
        raise TooManyPhotos(len(attachments))
    limit = max_mb * 2**20
    too_large = [
        (position, Problem.TOO_LARGE) for position, file in enumerate(attachments, start=1) if file.size > limit
    ]
    if too_large:
        raise PhotosRefused(too_large)


async def delete_photos(blobs: Blobs, photos: Sequence[NewPhoto]) -> None:
    for photo in photos:
        await blobs.delete(photo.key)


class _Intake:
    """One photo after another, so that a single one is in memory at a time."""

    def __init__(self, services: Services, job: str, kind: SubjectKind) -> None:
        self.photos: list[NewPhoto] = []
        self._services, self._job, self._kind = services, job, kind
        self._sights: dict[int, Sight] = {}
        self._problems: list[tuple[int, Problem]] = []
        self._copies: list[Copy] = []
        self._seen: dict[str, int] = {}

    async def add(self, position: int, attachment: discord.Attachment, decoder: DecodeProcess) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                data = await self._services.fetch(attachment)
        except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError):
            self._problems.append((position, Problem.GONE))
            return
        verdict, png = await decoder.decode(data)
        if verdict.problem is not None:
            self._problems.append((position, verdict.problem))
            return
        digest = hashlib.sha256(png).hexdigest()
        if digest in self._seen:
            self._copies.append((position, self._seen[digest]))
            return
        self._seen[digest] = position
        sight = self._sights[position] = await asyncio.to_thread(see, png, self._kind, photo_sizes(self._services.base))
        photo = NewPhoto(
            key=photo_key(self._job, position),
            sha256=digest,
            width=verdict.width,
            height=verdict.height,
            subject=sight.look.subject,
        )
        self.photos.append(photo)
        await self._services.blobs.put(photo.key, png, "image/png")

    async def finish(self) -> TakenIn:
        if self._problems:
            raise PhotosRefused(self._problems)
        if len(self.photos) < MIN_PHOTOS:
            raise TooFewPhotos(len(self.photos) + len(self._copies), same=len(self._copies))
        advice, sheet = await asyncio.to_thread(self._compare)
        return TakenIn(tuple(self.photos), tuple(self._copies), advice, sheet)

    def _compare(self) -> tuple[tuple[Advice, ...], bytes]:
        looks = {position: sight.look for position, sight in self._sights.items()}
        cells = {position: sight.cell for position, sight in self._sights.items()}
        return tuple(advise(looks, native_side(self._services.base))), draw_sheet(cells)
