"""In which channels of a server the bot may be asked to make something: all, unless the server names some."""

from collections.abc import Collection, Sequence

from sqlalchemy import bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.errors import WrongChannel
from storage.schema import OpenChannel

MOST_CHANNELS = 25
OPEN = select(OpenChannel.channel_id).where(OpenChannel.guild_id == bindparam("guild")).order_by(OpenChannel.channel_id)


async def open_channels(session: AsyncSession, guild_id: int) -> Sequence[int]:
    return (await session.scalars(OPEN, {"guild": guild_id})).all()


async def check_open_channel(session: AsyncSession, guild_id: int, places: Collection[int]) -> None:
    """`places` are a channel and what it is part of. Raises `WrongChannel` when the server names none of them."""
    named = await open_channels(session, guild_id)
    if named and not set(named) & set(places):
        raise WrongChannel(named)


async def set_open_channels(session: AsyncSession, guild_id: int, channels: Collection[int]) -> None:
    """Name these channels and no others; none at all opens every channel."""
    await session.execute(delete(OpenChannel).where(OpenChannel.guild_id == guild_id))
    session.add_all(OpenChannel(guild_id=guild_id, channel_id=channel) for channel in sorted(set(channels)))
