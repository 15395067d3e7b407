"""Play the main job in the channel: train rex from his photos, draw him in several places, look him up."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simcord.results import InteractionResult, ResponseMessage
from sqlalchemy import select

from bot.playground.world import World
from bot.services import Services
from storage.contract import JobKind
from storage.jobs import find_job, pictures_of
from storage.schema import Delivery, DeliveryState, Job, JobState

PLACES = {"moon": "on the moon", "beach": "at the beach", "forest": "in the forest", "snow": "in the snow"}
PICTURES_PER_PLACE = 4
SEED = 7
JOB_TIMEOUT_SECONDS = 600.0
CONSENT_BUTTON, TRAIN_BUTTON = "I agree, train", "Train"


class MainJobFailed(Exception):
    """The demo's own job did not end as it should."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    name: str
    class_noun: str
    photos: tuple[Path, ...]

    @classmethod
    def read(cls, folder: Path) -> "Subject":
        """Read a folder of sample photos: `class.txt` and `train/*`."""
        noun = (folder / "class.txt").read_text(encoding="utf-8").strip()
        return cls(name=folder.name, class_noun=noun, photos=tuple(sorted((folder / "train").iterdir())))


@dataclass(kw_only=True)
class Played:
    """What came of it: picture files by place, and how long each part took by the wall clock."""

    train_seconds: float = 0.0
    steps: int = 0
    image_seconds: float = 0.0
    """The slowest request's time for one picture."""
    subject: dict[str, list[Path]] = field(default_factory=dict)
    base: dict[str, list[Path]] = field(default_factory=dict)


class Player:
    """Ada at her keyboard. She acts in the channel alone; how her jobs went is read from the rows behind it."""

    def __init__(self, world: World, services: Services, folder: Path, say: Callable[[str], None]) -> None:
        self.world, self.services, self.folder, self.say = world, services, folder, say

    async def play(self, subject: Subject, train_options: dict[str, int] | None = None) -> Played:
        """Train, draw `PICTURES_PER_PLACE` pictures in each place, the same with the plain base, and open `/models`."""
        played = Played()
        await self._train(subject, played, train_options or {})
        for place, phrase in PLACES.items():
            began = time.perf_counter()
            played.subject[place] = await self._imagine(f"{subject.name} {phrase}", f"{subject.name}-{place}")
            played.image_seconds = max(played.image_seconds, (time.perf_counter() - began) / PICTURES_PER_PLACE)
        for place, phrase in PLACES.items():
            played.base[place] = await self._imagine(f"{subject.class_noun} {phrase}", f"base-{place}")
        await self._slash("models")
        return played

    async def _train(self, subject: Subject, played: Played, extra: dict[str, int]) -> None:
        photos = {f"photo{n}": (path.name, path.read_bytes()) for n, path in enumerate(subject.photos, start=1)}
        began = time.perf_counter()
        shown = await self._slash("train", **{"name": subject.name, "class": subject.class_noun}, **photos, **extra)
        job = await self.agree(shown)
        played.train_seconds, played.steps = time.perf_counter() - began, job.steps or 0
        self.say(f"Trained in {played.train_seconds:.0f} s ({played.steps} steps).")
        await self._keep_pictures(job, f"{subject.name}-sample")

    async def agree(self, shown: InteractionResult) -> Job:
        """Press what begins the training on the contact sheet; returns the job once it has ended."""
        asked = CONSENT_BUTTON in str(_answer(shown).components)  # once for each person
        await self.world.act(self.world.ada.click(_answer(shown), label=CONSENT_BUTTON if asked else TRAIN_BUTTON))
        return await self._finished(JobKind.TRAIN)

    async def _imagine(self, prompt: str, stem: str) -> list[Path]:
        await self._slash("imagine", prompt=prompt, count=PICTURES_PER_PLACE, seed=SEED)
        return await self._keep_pictures(await self._finished(JobKind.IMAGINE), stem)

    async def _slash(self, command: str, **options: "str | int | tuple[str, bytes]") -> InteractionResult:
        words = " ".join(f"{name}:{value}" for name, value in options.items() if not isinstance(value, tuple))
        photos = sum(isinstance(value, tuple) for value in options.values())
        self.say(f"Ada: /{command} {words}{f' and {photos} photos' if photos else ''}")
        shown = await self.world.act(self.world.ada.slash(self.world.channel, command, **options))
        _answer(shown)
        return shown

    async def _finished(self, kind: JobKind) -> Job:
        """Wait until the newest job has ended and the channel shows how."""
        job_id = await self._newest_job(kind)
        async with asyncio.timeout(JOB_TIMEOUT_SECONDS):
            while (job := await self._shown(job_id)) is None:  # noqa: ASYNC110 - the rows change in the bot's loops
                await asyncio.sleep(0.1)
        if job.state is not JobState.SUCCEEDED:
            raise MainJobFailed(f"the {job.kind} job ended as {job.state} ({job.failure})")
        return job

    async def _newest_job(self, kind: JobKind) -> str:
        query = select(Job.id).where(Job.kind == kind).order_by(Job.created_at.desc()).limit(1)
        async with self.services.database.read() as session:
            newest = await session.scalar(query)
        if newest is None:
            raise MainJobFailed(f"/{kind} made no job; the channel shows why")
        return newest

    async def _shown(self, job_id: str) -> Job | None:
        """Return the job once it has ended and all its messages are up to date."""
        async with self.services.database.read() as session:
            job = await find_job(session, job_id)
            deliveries = (await session.scalars(select(Delivery).where(Delivery.job_id == job_id))).all()
        sent = all(delivery.state is not DeliveryState.PENDING and not delivery.dirty for delivery in deliveries)
        return job if job is not None and job.state.ended and sent else None

    async def _keep_pictures(self, job: Job, stem: str) -> list[Path]:
        """Save the job's pictures as files in the demo folder."""
        async with self.services.database.read() as session:
            images: Sequence[Any] = await pictures_of(session, job.id)
        paths = [self.folder / f"{stem}-{image.position + 1}{Path(image.key).suffix}" for image in images]
        for path, image in zip(paths, images, strict=True):
            path.write_bytes(await self.services.blobs.get(image.key))
        return paths


def _answer(shown: InteractionResult) -> ResponseMessage:
    if shown.response is None:
        raise MainJobFailed("the bot did not answer")
    return shown.response
