"""A simulated Discord server with people in it, live in the browser."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import discord
import simcord
from simcord.actors import MemberActor
from simcord.backend.errors import SetupError
from simcord.builders import ChannelHandle
from simcord.preview import Preview

from bot.app import Dreambot

log = logging.getLogger(__name__)

TICK_SECONDS = 0.5
SETTLE_SECONDS = 60.0
"""How long SimCord lets one command run; decoding photos on a busy machine takes seconds."""

Result = TypeVar("Result")


@dataclass(kw_only=True)
class World:
    """One channel, two people and a moderator."""

    env: simcord.Env
    channel: ChannelHandle
    ada: MemberActor
    ben: MemberActor
    moderator: MemberActor
    preview: Preview
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """SimCord takes one operation at a time: the visitor's, the script's or the ticker's."""

    async def act(self, action: Awaitable[Result]) -> Result:
        """Let a person do something, and show it."""
        async with self.lock:
            result = await action
            await self.preview.refresh()
            return result

    async def tick(self) -> None:
        """Pass real time on to the simulated Discord and show what the bot has posted meanwhile; runs for ever."""
        last, seen = time.monotonic(), -1
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            try:
                async with self.lock:
                    await self.env.advance_time(now - last)
                    last = now
                    if len(self.env.backend.transcript) != seen:
                        await self.preview.refresh()
                        seen = len(self.env.backend.transcript)
            except (SetupError, TimeoutError) as error:
                log.debug("tick skipped: %s", error)


@contextlib.asynccontextmanager
async def open_world(bot: Dreambot, port: int) -> AsyncIterator[World]:
    """Connect the bot to a fresh simulated Discord, shown on 127.0.0.1:`port` (0 chooses a free one)."""
    env = simcord.Env(bot, shard_count=1, settle_timeout=SETTLE_SECONDS)
    env.backend.clock._epoch = datetime.now(UTC)  # dates in the channel are today's
    await env.start()
    try:
        if bot.user is not None:
            await bot.user.edit(username="Dreambot")
        guild = env.create_guild("Dreambot playground")
        channel = guild.create_text_channel("studio")
        ada, ben = (guild.add_member(env.create_user(name.lower(), global_name=name)) for name in ("Ada", "Ben"))
        role = guild.create_role("Moderators", permissions=discord.Permissions(manage_messages=True, manage_guild=True))
        moderator = guild.add_member(env.create_user("mo", global_name="Mo (moderator)"), roles=[role])
        async with env.preview(channel, viewers=[ada, ben, moderator], layout="channel", port=port) as preview:
            world = World(env=env, channel=channel, ada=ada, ben=ben, moderator=moderator, preview=preview)
            _take_turns(world)
            yield world
    finally:
        await bot.close()
        await env.shutdown()


def _take_turns(world: World) -> None:
    """Let the visitor's presses wait for the lock, and accept one made on a page that is a refresh old.

    Without this SimCord refuses a press that meets an operation of ours or a page that has been published again since.
    """
    preview: Any = world.preview
    original: Callable[[str, object], Awaitable[object]] = preview._action

    async def patient(context_id: str, body: object) -> object:
        async with world.lock:
            if isinstance(body, dict) and "published_revision" in body:
                with contextlib.suppress(SetupError, KeyError):
                    body = {**body, "published_revision": preview._get_page(context_id).revision}
            return await original(context_id, body)

    preview._action = patient
