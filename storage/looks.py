"""The looks that servers have added to those that come with the bot."""

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.errors import LookNotFound, NameTaken, TooManyLooks
from storage.names import name_key, validate_name
from storage.schema import Look

MOST_LOOKS = 25
"""What fits into one menu."""
MAX_WORDS_CHARS = 300


async def server_looks(session: AsyncSession, guild_id: int | None) -> Sequence[Look]:
    """Return a server's own looks by name; outside a server there are none."""
    if guild_id is None:
        return []
    return (await session.scalars(select(Look).where(Look.guild_id == guild_id).order_by(Look.name_key))).all()


async def add_look(
    session: AsyncSession, guild_id: int, author_id: int, name: str, words: str, negative: str, at: datetime
) -> Look:
    """Raises `InvalidName`, `NameTaken`, `TooManyLooks`."""
    name = validate_name(name)
    mine = Look.guild_id == guild_id
    taken = await session.scalar(select(Look.name).where(mine, Look.name_key == name_key(name)))
    if taken is not None:
        raise NameTaken(taken)
    if (await session.scalar(select(func.count()).select_from(Look).where(mine)) or 0) >= MOST_LOOKS:
        raise TooManyLooks(MOST_LOOKS)
    look = Look(
        id=uuid4().hex,
        guild_id=guild_id,
        name=name,
        name_key=name_key(name),
        words=words,
        negative=negative,
        author_id=author_id,
        created_at=at,
    )
    session.add(look)
    return look


async def remove_look(session: AsyncSession, look_id: str, guild_id: int | None) -> None:
    """Raises `LookNotFound`."""
    mine = delete(Look).where(Look.id == look_id, Look.guild_id == guild_id).returning(Look.id)
    if await session.scalar(mine) is None:
        raise LookNotFound
