"""What people wait for at this moment. Before the bot ends, it is finished, or its asker is told that it was not.

Whom a killed bot left waiting, the next one tells.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import discord
from sqlalchemy.exc import OperationalError

from bot.explanations import BROKEN_OFF, RESTARTING
from bot.language import spoken
from bot.replies import reply
from storage.database import Database
from storage.intakes import begin_intake, end_intake, is_promised, open_intakes
from storage.schema import Intake

log = logging.getLogger(__name__)

CANCEL_SECONDS, TELL_SECONDS = 3.0, 3.0
TOKEN_LIFE = timedelta(minutes=15)
UNANSWERED = (discord.HTTPException, aiohttp.ClientError, OSError)


class UnderWay:
    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock
        self._tasks: dict[asyncio.Task[Any], discord.Interaction[Any]] = {}
        self._closing = False

    async def admit(self, interaction: discord.Interaction[Any]) -> bool:
        """Note what the present task answers; False, once the bot is about to end, says that it must not begin."""
        task = asyncio.current_task()
        if self._closing or task is None:
            if interaction.type is not discord.InteractionType.autocomplete:
                await reply(interaction, str(RESTARTING))
            return False
        self._tasks[task] = interaction
        task.add_done_callback(self._leave)
        return True

    @asynccontextmanager
    async def remembered(self, interaction: discord.Interaction[Any]) -> AsyncIterator[None]:
        """Keep in the rows that somebody waits for what the block does."""
        async with self._database.write() as session:
            begin_intake(session, interaction.id, interaction.token, self._clock(), str(interaction.locale))
        try:
            yield
        finally:
            async with self._database.write() as session:
                await end_intake(session, interaction.id)

    async def tell_who_was_left(self, bot: discord.Client) -> None:
        """Tell those who waited when the last run was killed; for 15 minutes Discord lets us."""
        async with self._database.read() as session:
            left = await open_intakes(session)
        try:
            for intake in left:
                await self._tell(bot, intake)
        except OperationalError:
            log.exception("%d intakes of the last run could not be ended", len(left))

    async def finish(self, seconds: float) -> None:
        """Let nothing new begin, wait for what has begun, and break off what takes longer."""
        self._closing = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        left = dict(self._tasks)
        if not left:
            return
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=CANCEL_SECONDS)
        try:
            async with asyncio.timeout(TELL_SECONDS), asyncio.TaskGroup() as group:
                for interaction in left.values():
                    group.create_task(self._take_back(interaction))
        except TimeoutError:
            log.warning("Discord did not take in time what was broken off")

    async def _take_back(self, interaction: discord.Interaction[Any]) -> None:
        """Tell the asker that nothing came of it; what is promised already shows its card after the restart."""
        async with self._database.read() as session:
            promised = await is_promised(session, interaction.id)
        log.info("interaction %s was broken off, %s", interaction.id, "its job goes on" if promised else "unpromised")
        if promised:
            return
        try:
            with spoken(interaction.locale):
                await reply(interaction, str(BROKEN_OFF))
        except UNANSWERED as error:
            log.warning("could not answer interaction %s: %s", interaction.id, type(error).__name__)

    async def _tell(self, bot: discord.Client, intake: Intake) -> None:
        async with self._database.read() as session:
            promised = await is_promised(session, intake.interaction_id)
        if not promised and self._clock() - intake.at < TOKEN_LIFE:
            await self._edit_reply(bot, intake)
        async with self._database.write() as session:
            await end_intake(session, intake.interaction_id)

    async def _edit_reply(self, bot: discord.Client, intake: Intake) -> None:
        path = "/webhooks/{application_id}/{webhook_token}/messages/@original"
        route = discord.http.Route("PATCH", path, application_id=bot.application_id, webhook_token=intake.token)
        try:
            with spoken(intake.locale):
                await bot.http.request(route, json={"content": str(BROKEN_OFF)})
        except UNANSWERED as error:
            log.warning("could not answer interaction %s: %s", intake.interaction_id, type(error).__name__)

    def _leave(self, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]
