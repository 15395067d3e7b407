"""One message of a job in Discord: sent once, found again, edited, replaced when it has grown old, removed.

Discord drops a second message with the same nonce, but it remembers a nonce for minutes only; after that we look for
the message before we send it anew. Every message carries its job's mark, by which it is found.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

import discord

from bot.refusals import THREAD_ARCHIVED, Refusal, read_refusal
from bot.rendering import carries, mark_of, render_card
from bot.results import render_result
from bot.services import Services
from bot.views.rendered import Rendered
from storage.deliveries import mark_removed, mark_tried
from storage.faults import reach
from storage.schema import Delivery as Row
from storage.schema import DeliveryKind, DeliveryProblem, Job

log = logging.getLogger(__name__)

NONCE_LIFE = timedelta(minutes=1)
"""How long we trust Discord to know a nonce; it promises "a few minutes"."""
CLOCKS = timedelta(minutes=1)
"""How far apart our clock and Discord's may be."""
LOOKED_THROUGH = 100
EDITABLE = timedelta(minutes=55)
"""Discord limits the edits of a message that is older than an hour, so before that another takes its place."""
UNKNOWN_REVISION = -1

Channel = discord.DMChannel | discord.PartialMessageable


class Undeliverable(Exception):
    """There is no way left to show the message where it was asked for."""

    def __init__(self, problem: DeliveryProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Where a message stands now, and which revision of the rows it shows."""

    message: int
    channel: int
    revision: int


class Messages:
    def __init__(self, bot: discord.Client, services: Services) -> None:
        self._bot, self._services = bot, services

    async def show(self, row: Row, job: Job, limit: int) -> Shown:
        """Bring a message to the rows' state, its files at most `limit` bytes each.

        Raises `Undeliverable`, and what discord.py raises.
        """
        if row.kind is DeliveryKind.RESULT:
            return await self._send(row, job, await render_result(self._services, job.id, limit))
        card = await render_card(self._services, job.id, limit)
        if job.private and not row.direct:
            return Shown(message=await self._edit_private(row, card), channel=row.channel_id, revision=row.revision)
        if row.message_id is None or self._is_old(row):
            return await self._send(row, job, card)
        try:
            await self._edit(row, row.message_id, card)
        except discord.HTTPException as error:
            if read_refusal(error) is not Refusal.REPLACE:
                raise
            if error.code != THREAD_ARCHIVED or job.state.ended:  # progress is not worth waking a thread
                return await self._send(row, job, await render_card(self._services, job.id, limit))
        return Shown(message=row.message_id, channel=row.channel_id, revision=row.revision)

    async def remove(self, row: Row, message_id: int) -> None:
        """Delete the message that a newer one stands in for."""
        try:
            await self._message(row, message_id).delete()
        except (discord.Forbidden, discord.NotFound) as error:
            log.info("job %s: the old card could not be removed, HTTP %s", row.job_id, error.status)
        async with self._services.database.write() as session:
            await mark_removed(session, row.id)

    def _message(self, row: Row, message_id: int) -> discord.PartialMessage:
        return self._bot.get_partial_messageable(row.channel_id).get_partial_message(message_id)

    def _is_old(self, row: Row) -> bool:
        return row.posted_at is not None and self._services.clock() - row.posted_at >= EDITABLE

    async def _edit(self, row: Row, message_id: int, card: Rendered) -> None:
        nobody = discord.AllowedMentions.none()
        await self._message(row, message_id).edit(view=card.view, attachments=card.files, allowed_mentions=nobody)

    async def _edit_private(self, row: Row, card: Rendered) -> int:
        """Edit a reply that its asker alone sees. Raises Undeliverable once its token has expired."""
        if row.webhook_token is None or self._bot.application_id is None:
            raise Undeliverable(DeliveryProblem.EXPIRED)
        webhook = discord.Webhook.partial(self._bot.application_id, row.webhook_token, client=self._bot)
        try:
            reply = row.message_id or await self._reply_to_command(self._bot.application_id, row.webhook_token)
            await webhook.edit_message(reply, view=card.view, attachments=card.files)
        except discord.HTTPException as error:
            if error.status in {401, 404}:
                raise Undeliverable(DeliveryProblem.EXPIRED) from error
            raise
        return reply

    async def _reply_to_command(self, application_id: int, token: str) -> int:
        """Find the reply that a command began and did not come to note."""
        path = "/webhooks/{application_id}/{webhook_token}/messages/@original"
        route = discord.http.Route("GET", path, application_id=application_id, webhook_token=token)
        return int((await self._bot.http.request(route))["id"])

    async def _send(self, row: Row, job: Job, content: Rendered) -> Shown:
        """Send a message, unless one that we sent before and know nothing of is there."""
        channel = await self._channel(row)
        is_result = row.kind is DeliveryKind.RESULT
        lost = await self._find_lost(row, job, channel)
        if lost is not None:
            log.info("job %s: delivery %d was there already", job.id, row.id)
            return Shown(message=lost, channel=channel.id, revision=row.revision if is_result else UNKNOWN_REVISION)
        if row.tried_at is None:
            async with self._services.database.write() as session:
                await mark_tried(session, row.id, self._services.clock())
        reach("delivery.tried")
        message = await channel.send(
            view=content.view,
            files=content.files,
            nonce=nonce(row),
            allowed_mentions=discord.AllowedMentions(
                everyone=False,
                roles=False,
                replied_user=False,
                users=[discord.Object(row.owner_id)] if is_result else False,
            ),
        )
        reach("delivery.posted")
        return Shown(message=message.id, channel=channel.id, revision=row.revision)

    async def _channel(self, row: Row) -> Channel:
        if row.direct:
            return await self._bot.create_dm(discord.Object(row.owner_id))
        return self._bot.get_partial_messageable(row.channel_id)

    async def _find_lost(self, row: Row, job: Job, channel: Channel) -> int | None:
        """Look for our message where an earlier send may have left it; None as well where we may not look."""
        since = self._may_be_there_since(row, job)
        if since is None or self._bot.user is None:
            return None
        mark, known = mark_of(job.id, row.kind), {row.message_id, row.replaces}
        try:
            async for message in channel.history(limit=LOOKED_THROUGH, after=since - CLOCKS, oldest_first=True):
                if message.author.id == self._bot.user.id and message.id not in known and carries(message, mark):
                    return message.id
        except (discord.Forbidden, discord.NotFound):
            pass
        return None

    def _may_be_there_since(self, row: Row, job: Job) -> datetime | None:
        """A send whose fate is unknown for longer than nonces live; or a card that its command may have posted."""
        if row.tried_at is not None:
            return row.tried_at if self._services.clock() - row.tried_at > NONCE_LIFE else None
        by_command = row.kind is DeliveryKind.CARD and row.message_id is None and row.posts == 0
        return job.created_at if by_command else None


def nonce(row: Row) -> str:
    """Name the message that a row asks for now, in at most 25 characters."""
    return f"d{row.id}-{row.posts}" if row.posts else f"d{row.id}"
