"""Try every part that the bot stands on as it stands here: rows, blobs, Redis, the worker, the channel, a picture."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from uuid import uuid4

import discord
from obstore.exceptions import BaseError as BlobStoreError
from sqlalchemy.exc import SQLAlchemyError

from bot.admin_text import PARTS, TEST_PROMPT, Part
from bot.help_text import PERMISSIONS
from bot.job_text import why_failed
from bot.language import _, listed, number
from bot.services import Services
from storage.admission import holds_back
from storage.contract import sample_key
from storage.errors import DreambotError
from storage.imaginings import NewImagining, new_imagining
from storage.jobs import delete_pictures, pictures_of
from storage.outcomes import stop_job
from storage.people import ensure_owner
from storage.schema import CommandList, Job, JobState

POLL_SECONDS, DRAW_SECONDS = 0.2, 120.0
STEPS = 8
"""Enough to pass through every part of the engine; nobody looks at the picture for its beauty."""
BROKEN = (SQLAlchemyError, BlobStoreError, DreambotError, OSError)


class Outcome(Enum):
    WORKS = "works"
    FAILS = "fails"
    NOT_TRIED = "not tried"


@dataclass(frozen=True)
class Check:
    part: Part
    outcome: Outcome
    facts: str = ""


@dataclass(frozen=True, kw_only=True)
class Here:
    """Who tests, and where."""

    interaction_id: int
    person_id: int
    guild_id: int | None
    channel_id: int
    permissions: discord.Permissions
    """Ours in this channel."""


async def checks(services: Services, here: Here) -> AsyncIterator[Check]:
    """Yield what each part does, the picture last: that takes longest."""
    yield await _tried(Part.DATABASE, lambda: _database(services))
    yield await _tried(Part.BLOBS, lambda: _blobs(services))
    workers = await services.queue.workers()
    if workers is None:
        yield Check(Part.REDIS, Outcome.FAILS, _hint(Part.REDIS))
        yield Check(Part.WORKER, Outcome.NOT_TRIED)
    else:
        yield Check(Part.REDIS, Outcome.WORKS)
        ours = [worker for worker in workers if worker.base == services.base]
        if ready := [worker.engine for worker in ours if worker.engine is not None]:
            devices = listed(sorted({engine.device for engine in ready}))
            loaded = _("{number} with the base model loaded, on {devices}").format(number=len(ready), devices=devices)
            yield Check(Part.WORKER, Outcome.WORKS, loaded)
        else:
            lacking = _("it still loads its base model") if ours else _hint(Part.WORKER)
            yield Check(Part.WORKER, Outcome.FAILS, lacking)
    missing = [str(label) for name, label in PERMISSIONS.items() if not getattr(here.permissions, name)]
    outcome = Outcome.FAILS if missing else Outcome.WORKS
    yield Check(
        Part.CHANNEL, outcome, _("missing: {permissions}").format(permissions=listed(missing)) if missing else ""
    )
    yield await _tried(Part.PICTURE, lambda: _picture(services, here))


async def _tried(part: Part, attempt: Callable[[], Awaitable["str | Check"]]) -> Check:
    began = time.monotonic()
    try:
        done = await attempt()
    except BROKEN as error:
        return Check(part, Outcome.FAILS, f"{type(error).__name__}. {_hint(part)}")
    if isinstance(done, Check):
        return done
    took = _("{time} ms")
    return Check(part, Outcome.WORKS, done or took.format(time=number(1000 * (time.monotonic() - began))))


def _hint(part: Part) -> str:
    hint = PARTS[part].hint
    return "" if hint is None else str(hint)


async def _database(services: Services) -> str:
    """Write a row, read it on another connection, and take it away."""
    row = CommandList(place=f"test:{uuid4().hex}", digest="", ids={})
    async with services.database.write() as session:
        session.add(row)
    async with services.database.read() as session:
        await session.get_one(CommandList, row.place)
    async with services.database.write() as session:
        await session.delete(await session.get_one(CommandList, row.place))
    return ""


async def _blobs(services: Services) -> str | Check:
    key, data = sample_key(uuid4().hex, 1, "test"), uuid4().bytes
    await services.blobs.put(key, data)
    same = await services.blobs.get(key) == data
    await services.blobs.delete(key)
    return "" if same else Check(Part.BLOBS, Outcome.FAILS, _hint(Part.BLOBS))


async def _picture(services: Services, here: Here) -> str | Check:
    """Let a worker draw a picture with the base model by the way of all pictures, and forget it again."""
    async with services.database.read() as session:
        if await holds_back(session):
            return Check(Part.PICTURE, Outcome.NOT_TRIED, _("nothing is begun while I am draining"))
    if not await services.queue.worker_alive(services.base):
        return Check(Part.PICTURE, Outcome.NOT_TRIED, _("there is no worker"))
    new = NewImagining(
        job=uuid4().hex,
        interaction_id=here.interaction_id,
        owner_id=here.person_id,
        guild_id=here.guild_id,
        channel_id=here.channel_id,
        model=None,
        prompt=TEST_PROMPT,
        prompt_shown=TEST_PROMPT,
        seed=1,
        steps=STEPS,
        base=services.base,
        private=True,
    )
    async with services.database.write() as session:
        await ensure_owner(session, here.person_id, services.clock())
        await new_imagining(session, new, services.clock())
    services.queue.wake()
    try:
        async with asyncio.timeout(DRAW_SECONDS):
            job = await _ended(services, new.job)
    except TimeoutError:
        await _stop(services, new.job)
        late = _("nothing came within {seconds} s").format(seconds=round(DRAW_SECONDS))
        return Check(Part.PICTURE, Outcome.FAILS, late)
    return await _drawn(services, job)


async def _ended(services: Services, job_id: str) -> Job:
    while True:
        async with services.database.read() as session:
            job = await session.get_one(Job, job_id)
        if job.state.ended:
            return job
        await asyncio.sleep(POLL_SECONDS)


async def _drawn(services: Services, job: Job) -> str | Check:
    """Look whether the picture is there, and delete it."""
    async with services.database.read() as session:
        images = await pictures_of(session, job.id)
    there = [await services.blobs.exists(image.key) for image in images]
    async with services.database.write() as session:
        keys = await delete_pictures(session, job.id)
    for key in keys:
        await services.blobs.delete(key)
    if job.state is not JobState.SUCCEEDED or there != [True]:
        return Check(Part.PICTURE, Outcome.FAILS, why_failed(job.failure))
    return ""


async def _stop(services: Services, job_id: str) -> None:
    async with services.database.write() as session:
        job = await session.get_one(Job, job_id)
        await stop_job(session, job, services.clock())
    await services.queue.stop(job)
