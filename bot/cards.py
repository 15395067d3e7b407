"""Answer a command with its job's card. From then on the card belongs to the delivery loop."""

import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import discord

from bot.rendering import render_card
from bot.services import Services
from bot.views.rendered import Rendered
from storage.deliveries import mark_card_posted
from storage.faults import reach
from storage.schema import Job

log = logging.getLogger(__name__)

Send = Callable[[Rendered], Awaitable[discord.Message]]


async def answer(interaction: discord.Interaction[Any], card: Rendered) -> discord.Message:
    """Turn the reply, which said until now that we think, into the card."""
    return await interaction.edit_original_response(view=card.view, attachments=card.files)


async def post_card(services: Services, job: Job, send: Send) -> None:
    """Show the card by `send`. When Discord does not take it, the delivery loop posts it by itself a little later."""
    try:
        message = await send(await render_card(services, job.id))
    except (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError) as error:
        log.warning("job %s: the card could not be posted, %s", job.id, type(error).__name__)
        return
    reach("card.answered")
    async with services.database.write() as session:
        is_the_card = await mark_card_posted(session, job.id, message.id)
    if not is_the_card:  # it took so long that the delivery loop has posted another
        with contextlib.suppress(discord.HTTPException):
            await message.delete()
    services.wake_delivery()
