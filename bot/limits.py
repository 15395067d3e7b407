"""How much a person may ask for in 24 hours where they are: their server's word, or what is usual for this bot."""

from collections.abc import Collection
from typing import Any

import discord
from sqlalchemy.ext.asyncio import AsyncSession

from bot.settings import BotSettings
from storage.contract import JobKind
from storage.limits import limit_of


def roles_of(interaction: discord.Interaction[Any]) -> frozenset[int]:
    """Return the ids of the presser's roles here; none in direct messages."""
    person = interaction.user
    return frozenset(role.id for role in person.roles) if isinstance(person, discord.Member) else frozenset()


async def per_day(
    session: AsyncSession, settings: BotSettings, kind: JobKind, guild_id: int | None, roles: Collection[int]
) -> int | None:
    """Return the limit; None is none."""
    own = None if guild_id is None else await limit_of(session, kind, guild_id, roles)
    return usual(settings, kind) if own is None else own


async def all_per_day(
    session: AsyncSession, settings: BotSettings, interaction: discord.Interaction[Any]
) -> dict[JobKind, int | None]:
    """Return the presser's limits, pictures first."""
    here = interaction.guild_id, roles_of(interaction)
    return {kind: await per_day(session, settings, kind, *here) for kind in (JobKind.IMAGINE, JobKind.TRAIN)}


def usual(settings: BotSettings, kind: JobKind) -> int | None:
    """Return the limit where no server says otherwise; None is none."""
    limit = settings.max_pictures_per_day if kind is JobKind.IMAGINE else settings.max_trainings_per_day
    return limit or None
