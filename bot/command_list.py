"""The commands as Discord knows them: sent when they changed and not at every start, and clickable by their ids."""

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import discord

from storage.schema import CommandList

if TYPE_CHECKING:
    from bot.app import Dreambot

log = logging.getLogger(__name__)


async def sync_commands(bot: "Dreambot") -> Mapping[str, int]:
    """Send the commands if they are not what was sent last; returns the id of each."""
    guild_id = bot.services.settings.dev_guild_id
    guild = None if guild_id is None else discord.Object(guild_id)
    if guild is not None:
        bot.tree.copy_global_to(guild=guild)
    digest, place = await _digest(bot, guild), f"{bot.application_id}:{guild_id or 'everywhere'}"
    async with bot.services.database.read() as session:
        sent = await session.get(CommandList, place)
    if sent is not None and sent.digest == digest:
        return sent.ids
    ids = {command.name: command.id for command in await bot.tree.sync(guild=guild)}
    async with bot.services.database.write() as session:
        await session.merge(CommandList(place=place, digest=digest, ids=ids))
    log.info("%d commands were sent to Discord", len(ids))
    return ids


def mention(name: str, ids: Mapping[str, int]) -> str:
    """Return a command as Discord shows it: to be clicked where its id is known."""
    return f"</{name}:{ids[name]}>" if name in ids else f"`/{name}`"


async def _digest(bot: "Dreambot", guild: discord.Object | None) -> str:
    """Translations are part of what is sent."""
    assert bot.tree.translator is not None  # noqa: S101 -- set before the commands are
    commands = bot.tree.get_commands(guild=guild)
    payload = [await command.get_translated_payload(bot.tree, bot.tree.translator) for command in commands]
    return hashlib.sha256(json.dumps(payload, sort_keys=True, default=str).encode()).hexdigest()
