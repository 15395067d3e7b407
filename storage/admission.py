"""Whether anything new is taken in, and from this person; asked in the transaction that would promise it."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from storage.blocks import check_not_blocked
from storage.errors import Paused
from storage.schema import Pause

ONLY = 1
"""The key of the one pause that there can be."""


async def check_admitted(session: AsyncSession, person_id: int, guild_id: int | None) -> None:
    """Raises `Blocked`, `Paused`."""
    await check_not_blocked(session, person_id, guild_id)
    pause = await present_pause(session)
    if pause is not None:
        raise Paused(pause.words)


async def present_pause(session: AsyncSession) -> Pause | None:
    return await session.get(Pause, ONLY)


async def holds_back(session: AsyncSession) -> bool:
    """Tell whether what waits is to go on waiting."""
    pause = await present_pause(session)
    return pause is not None and pause.drains


async def pause(session: AsyncSession, operator_id: int, words: str, at: datetime, *, drains: bool) -> None:
    """Take in nothing new from now on; with `drains` begin nothing that waits, either. The newest word holds."""
    await session.merge(Pause(id=ONLY, words=words, drains=drains, operator_id=operator_id, at=at))


async def resume(session: AsyncSession) -> bool:
    """Returns False when there was no pause."""
    present = await present_pause(session)
    if present is None:
        return False
    await session.delete(present)
    return True
