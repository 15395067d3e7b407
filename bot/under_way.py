"""What people wait for at this moment. Before the bot ends, it is finished, or its asker is told that it was not."""

import asyncio
import logging
from typing import Any

import aiohttp
import discord
from sqlalchemy import exists, select

from bot import text
from bot.replies import reply
from storage.database import Database
from storage.schema import Job

log = logging.getLogger(__name__)

CANCEL_SECONDS, TELL_SECONDS = 3.0, 3.0


class UnderWay:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._tasks: dict[asyncio.Task[Any], discord.Interaction[Any]] = {}
        self._closing = False

    async def admit(self, interaction: discord.Interaction[Any]) -> bool:
        """Note what the present task answers; False, once the bot is about to end, says that it must not begin."""
        task = asyncio.current_task()
        if self._closing or task is None:
            if interaction.type is not discord.InteractionType.autocomplete:
                await reply(interaction, text.RESTARTING)
            return False
        self._tasks[task] = interaction
        task.add_done_callback(self._leave)
        return True

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
            promised = await session.scalar(select(exists().where(Job.interaction_id == interaction.id)))
        log.info("interaction %s was broken off, %s", interaction.id, "its job goes on" if promised else "unpromised")
        if promised:
            return
        try:
            await reply(interaction, text.BROKEN_OFF)
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.warning("could not answer interaction %s: %s", interaction.id, type(error).__name__)

    def _leave(self, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]
