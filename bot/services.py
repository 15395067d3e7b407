"""What commands and buttons work with. Built once by the composition root; nothing here is global."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

import discord

from bot.acknowledging import Lull
from bot.settings import BotSettings
from storage.blobs import Blobs
from storage.database import Database
from storage.schema import Job, Model
from storage.worker_status import WorkerStatus

DECODERS = 2
"""How many people's photos are decoded at once."""


class Queue(Protocol):
    """The outbox as commands see it."""

    def wake(self) -> None:
        """Send what was just written, now rather than at the next look."""
        ...

    async def stop(self, job: Job) -> None:
        """Take a job that its owner wants stopped out of its queue, or tell the worker that has it."""
        ...

    async def worker_alive(self, base: str) -> bool:
        """Tell whether any worker for `base` lives; False also when Redis cannot be asked."""
        ...

    async def workers(self) -> Sequence[WorkerStatus] | None:
        """Return what each living worker says of itself, by name; None when Redis cannot be asked."""
        ...


async def read_attachment(attachment: discord.Attachment) -> bytes:
    return await attachment.read()


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Services:
    settings: BotSettings
    database: Database
    blobs: Blobs
    queue: Queue
    wake_delivery: Callable[[], None]
    base: str
    """The base model's short name, as it stands in queue names."""
    expect: Callable[[Model], None] = lambda _model: None
    """Hears of models that somebody may be about to draw with."""
    clock: Callable[[], datetime] = utc_now
    fetch: Callable[[discord.Attachment], Awaitable[bytes]] = read_attachment
    link: Callable[[str, str], str | None] = lambda _key, _filename: None
    """Signs a download link for (blob key, file name); None where the bot serves no files."""
    decoders: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(DECODERS))
    lull: Lull = field(default_factory=Lull)
    """Lets answers wait while others have not even a sign that theirs will come."""
