"""Rows -> Discord: decides what is shown when, and notes what became of it.

Channels are served side by side and the messages of each in turn, so that a slow channel holds up only itself.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import aiohttp
import discord
from sqlalchemy.exc import SQLAlchemyError

from bot.loops import Wake, forever
from bot.messages import Messages, Shown, Undeliverable
from bot.refusals import Refusal, asked_pause, pause, read_refusal
from bot.services import Services
from bot.uploads import FILE_BYTES
from storage.deliveries import EDIT_INTERVAL, due_deliveries, give_way, mark_sent, only_progress, postpone
from storage.faults import reach
from storage.schema import Delivery as Row
from storage.schema import DeliveryProblem, Job

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
APART_SECONDS = 0.05
BATCH = 100
MOST_CHANNELS = 300
"""How many are served at once: each holds its message's pictures in memory."""
MAX_REFUSALS = 5
"""How often Discord may call a message wrong before we believe it."""
SMALL_FILE_BYTES = 2**20
"""Files that Discord calls too large are sent smaller, but not below this."""


class Delivery:
    def __init__(self, bot: discord.Client, services: Services) -> None:
        self._bot, self._services, self._messages = bot, services, Messages(bot, services)
        self._wake = Wake(POLL_SECONDS, apart=APART_SECONDS)
        self._busy: dict[int, asyncio.Task[None]] = {}
        self._edited: dict[int, datetime] = {}
        self._hold_until: datetime | None = None
        self._holds = 0
        self._finishing = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            await forever("the delivery", partial(self._begin, group), self._wake.rest)

    def wake(self) -> None:
        """Look for new work at once."""
        self._wake()

    async def finish(self, seconds: float) -> None:
        """Begin nothing new, and give what is on its way some time to arrive."""
        self._finishing = True
        if self._busy:
            await asyncio.wait(self._busy.values(), timeout=seconds)

    async def deliver_due(self) -> None:
        """Send and edit what is due, and wait until it is done."""
        async with asyncio.TaskGroup() as group:
            await self._begin(group)

    async def _begin(self, group: asyncio.TaskGroup) -> None:
        now = self._services.clock()
        if self._at_rest(now) or len(self._busy) >= MOST_CHANNELS:
            return
        self._edited = {channel: at for channel, at in self._edited.items() if abs(now - at) < EDIT_INTERVAL}
        async with self._services.database.read() as session:
            due = await due_deliveries(session, now, BATCH, busy=self._busy, paced=self._edited)
            progress = await only_progress(session, due)
        channels: dict[int, list[Row]] = defaultdict(list)
        for row in due:
            channels[row.channel_id].append(row)
        for channel, rows in channels.items():
            task = self._busy[channel] = group.create_task(self._serve(channel, rows, progress))
            task.add_done_callback(partial(self._leave, channel))

    def _leave(self, channel: int, _task: asyncio.Task[None]) -> None:
        del self._busy[channel]

    async def _serve(self, channel: int, rows: Sequence[Row], progress: set[int]) -> None:
        """Show what is new or has ended, a job's card before its result; then the progress of one job that runs."""
        for row in sorted((row for row in rows if row.id not in progress), key=lambda row: row.id):
            await self._try(row)
        behind = [row for row in rows if row.id in progress]
        if behind:
            self._edited[channel] = self._services.clock()
            await self._try(min(behind, key=lambda row: (row.not_before, row.id)))

    async def _try(self, row: Row) -> None:
        """Deliver one row. When the rows themselves cannot be read or written, all deliveries wait."""
        if self._at_rest(self._services.clock()):
            return
        try:
            await self._deliver_or_note_why(row)
        except Exception:
            log.exception("job %s: delivery %d failed, and that could not be noted", row.job_id, row.id)
            self._hold(pause(self._holds))

    async def _deliver_or_note_why(self, row: Row) -> None:
        try:
            await self._deliver(row)
            self._holds = 0
        except Undeliverable as error:
            await self._give_up(row, error.problem, "no way is left to reach it")
        except discord.RateLimited as error:
            await self._postpone(row, error.retry_after, "HTTP 429")
        except discord.HTTPException as error:
            await self._refused(row, error)
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            await self._postpone(row, pause(row.attempts), type(error).__name__)
        except SQLAlchemyError:
            raise
        except Exception:
            log.exception("job %s: delivery %d failed", row.job_id, row.id)
            await self._postpone(row, pause(row.attempts), "an error of ours")

    async def _deliver(self, row: Row) -> None:
        async with self._services.database.read() as session:
            row = await session.get_one(Row, row.id)
            job = await session.get_one(Job, row.job_id)
        if not row.dirty:  # its command has shown it meanwhile
            return
        if row.replaces is not None:
            await self._messages.remove(row, row.replaces)
        shown = await self._show(row, job)
        reach("delivery.shown")
        async with self._services.database.write() as session:
            await mark_sent(session, row.id, shown.message, shown.revision, self._services.clock(), shown.channel)
        reach("delivery.noted")

    async def _show(self, row: Row, job: Job) -> Shown:
        """Show a message with the largest files that Discord takes."""
        limit = self._upload_limit(job)
        while True:
            try:
                return await self._messages.show(row, job, limit)
            except discord.HTTPException as error:
                if read_refusal(error) is not Refusal.TOO_LARGE or limit <= SMALL_FILE_BYTES:
                    raise
                limit //= 4

    def _upload_limit(self, job: Job) -> int:
        guild = None if job.guild_id is None else self._bot.get_guild(job.guild_id)
        return FILE_BYTES if guild is None else max(FILE_BYTES, guild.filesize_limit)

    async def _refused(self, row: Row, error: discord.HTTPException) -> None:
        """Try again what may pass; give up what cannot."""
        refusal, reason = read_refusal(error), f"HTTP {error.status}, code {error.code}"
        if refusal is Refusal.HOLD:
            self._hold(asked_pause(error, self._holds))
        if refusal is Refusal.CLOSED:
            await self._give_up(row, DeliveryProblem.CLOSED, reason)
        elif refusal is Refusal.FILTERED:
            await self._give_up(row, DeliveryProblem.REFUSED, reason)
        elif refusal in {Refusal.LATER, Refusal.HOLD}:
            await self._postpone(row, asked_pause(error, row.attempts), reason)
        elif row.attempts + 1 >= MAX_REFUSALS:
            await self._give_up(row, DeliveryProblem.REFUSED, reason)
        else:
            log.error("job %s: Discord refused delivery %d, %s", row.job_id, row.id, error)
            await self._postpone(row, pause(row.attempts), reason)

    def _at_rest(self, now: datetime) -> bool:
        return self._finishing or (self._hold_until is not None and now < self._hold_until)

    def _hold(self, seconds: float) -> None:
        """Send nothing for a while: too many refused requests, and Discord shuts us out for an hour."""
        self._holds += 1
        self._hold_until = self._services.clock() + timedelta(seconds=seconds)

    async def _postpone(self, row: Row, seconds: float, reason: str) -> None:
        log.warning("job %s: delivery %d waits %.1f s, %s", row.job_id, row.id, seconds, reason)
        async with self._services.database.write() as session:
            await postpone(session, row.id, self._services.clock() + timedelta(seconds=seconds))

    async def _give_up(self, row: Row, problem: DeliveryProblem, reason: str) -> None:
        async with self._services.database.write() as session:
            directly = await give_way(session, row.id, problem, self._services.clock())
        outcome = "goes to its owner directly" if directly else "is undeliverable"
        log.warning("job %s: delivery %d %s, %s", row.job_id, row.id, outcome, reason)
