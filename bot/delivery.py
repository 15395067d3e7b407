"""Rows -> Discord: posts and edits every message that a job's rows ask for, and notes what became of it.

A message is sent under a nonce made of its row's id, so that Discord itself drops a second copy when we die between
sending and noting. Nothing goes through an interaction's token but private replies, which no other way can reach.
"""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

import aiohttp
import discord

from bot.loops import Wake, forever
from bot.rendering import render_card
from bot.results import render_result
from bot.services import Services
from bot.uploads import FILE_BYTES
from bot.views.rendered import Rendered
from storage.deliveries import due_deliveries, mark_sent, mark_undeliverable, postpone
from storage.faults import reach
from storage.schema import Delivery as Row
from storage.schema import DeliveryKind, Job

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
BATCH = 50
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
MAX_REFUSALS = 5
"""How often Discord may call a message wrong before we believe it."""


class Undeliverable(Exception):
    """There is no way left to reach the person; the outcome stays in the rows."""


class Delivery:
    def __init__(self, bot: discord.Client, services: Services) -> None:
        self._bot, self._services = bot, services
        self._wake = Wake(POLL_SECONDS)

    async def run(self) -> None:
        await forever("the delivery", self.deliver_due, self._wake.rest)

    def wake(self) -> None:
        """Look for new work at once."""
        self._wake()

    async def deliver_due(self) -> None:
        """Send and edit what is due: channels side by side, the messages of one channel in turn."""
        async with self._services.database.read() as session:
            due = await due_deliveries(session, self._services.clock(), BATCH)
        channels: dict[int, list[Row]] = defaultdict(list)
        for row in sorted(due, key=lambda row: row.id):  # a job's card before its result
            channels[row.channel_id].append(row)
        async with asyncio.TaskGroup() as group:
            for rows in channels.values():
                group.create_task(self._deliver_in_turn(rows))

    async def _deliver_in_turn(self, rows: Sequence[Row]) -> None:
        for row in rows:
            try:
                await self._deliver(row)
            except Undeliverable:
                await self._give_up(row, "no way is left to reach it")
            except discord.RateLimited as error:
                await self._postpone(row, error.retry_after, "HTTP 429")
            except discord.HTTPException as error:
                await self._refused(row, error)
            except (OSError, aiohttp.ClientError, TimeoutError) as error:
                await self._postpone(row, pause(row.attempts), type(error).__name__)
            except Exception:
                log.exception("job %s: delivery %d failed", row.job_id, row.id)
                await self._postpone(row, pause(row.attempts), "an error of ours")

    async def _deliver(self, row: Row) -> None:
        async with self._services.database.read() as session:
            job = await session.get_one(Job, row.job_id)
        limit = self._upload_limit(job)
        if row.kind is DeliveryKind.RESULT:
            message_id = await self._send(row, await render_result(self._services, job.id, limit), mention=True)
        else:
            card = await render_card(self._services, job.id, limit)
            message_id = await (self._edit_private(row, card) if job.private else self._show(row, card))
        reach("delivery.shown")
        async with self._services.database.write() as session:
            await mark_sent(session, row.id, message_id, row.revision, self._services.clock())
        reach("delivery.noted")

    async def _show(self, row: Row, card: Rendered) -> int:
        """Edit the card where it stands, or post it when its command did not come to do so."""
        if row.message_id is None:
            return await self._send(row, card, mention=False)
        channel = self._bot.get_partial_messageable(row.channel_id)
        await channel.get_partial_message(row.message_id).edit(
            view=card.view, attachments=card.files, allowed_mentions=discord.AllowedMentions.none()
        )
        return row.message_id

    async def _send(self, row: Row, content: Rendered, *, mention: bool) -> int:
        owner = [discord.Object(row.owner_id)] if mention else False
        message = await self._bot.get_partial_messageable(row.channel_id).send(
            view=content.view,
            files=content.files,
            nonce=f"d{row.id}",
            allowed_mentions=discord.AllowedMentions(everyone=False, roles=False, replied_user=False, users=owner),
        )
        reach("delivery.posted")
        return message.id

    async def _edit_private(self, row: Row, card: Rendered) -> int:
        """Edit a reply that its asker alone sees. Raises Undeliverable once its token has expired."""
        if row.webhook_token is None or row.message_id is None or self._bot.application_id is None:
            raise Undeliverable
        webhook = discord.Webhook.partial(self._bot.application_id, row.webhook_token, client=self._bot)
        try:
            await webhook.edit_message(row.message_id, view=card.view, attachments=card.files)
        except discord.HTTPException as error:
            if error.status in {401, 404}:
                raise Undeliverable from error
            raise
        return row.message_id

    def _upload_limit(self, job: Job) -> int:
        guild = None if job.guild_id is None else self._bot.get_guild(job.guild_id)
        return FILE_BYTES if guild is None else max(FILE_BYTES, guild.filesize_limit)

    async def _refused(self, row: Row, error: discord.HTTPException) -> None:
        """Try again what may pass; give up what cannot: a channel or message gone, or closed to us."""
        reason = f"HTTP {error.status}, code {error.code}"
        if error.status >= 500 or error.status == 429:
            await self._postpone(row, pause(row.attempts), reason)
        elif error.status in {401, 403, 404} or row.attempts + 1 >= MAX_REFUSALS:
            await self._give_up(row, reason)
        else:
            log.error("job %s: Discord refused delivery %d, %s", row.job_id, row.id, error)
            await self._postpone(row, pause(row.attempts), reason)

    async def _postpone(self, row: Row, seconds: float, reason: str) -> None:
        log.warning("job %s: delivery %d waits %.1f s, %s", row.job_id, row.id, seconds, reason)
        async with self._services.database.write() as session:
            await postpone(session, row.id, self._services.clock() + timedelta(seconds=seconds))

    async def _give_up(self, row: Row, reason: str) -> None:
        log.warning("job %s: delivery %d is undeliverable, %s", row.job_id, row.id, reason)
        async with self._services.database.write() as session:
            await mark_undeliverable(session, row.id, self._services.clock())


def pause(failures: int) -> float:
    """Return how many seconds to wait after so many failures: doubling, with jitter, so that not all return at once."""
    longest = min(FIRST_PAUSE * 2 ** min(failures, 20), LONGEST_PAUSE)
    return random.uniform(longest / 2, longest)
