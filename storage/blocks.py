"""Who may make nothing: in one server, by those who manage it, or anywhere, by those who run the bot."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.errors import Blocked
from storage.outcomes import stop_job
from storage.schema import ACTIVE, Block, Job

EVERYWHERE = 0
BLOCKS = (
    select(Block.words, Block.guild_id)
    .where(Block.person_id == bindparam("person"), Block.guild_id.in_((EVERYWHERE, bindparam("guild"))))
    .order_by(Block.guild_id)
)


async def check_not_blocked(session: AsyncSession, person_id: int, guild_id: int | None) -> None:
    """Raises `Blocked`."""
    block = (await session.execute(BLOCKS, {"person": person_id, "guild": guild_id or EVERYWHERE})).first()
    if block is not None:
        raise Blocked(block.words, everywhere=block.guild_id == EVERYWHERE)


async def block_person(
    session: AsyncSession, person_id: int, guild_id: int, by_id: int, words: str, at: datetime
) -> Sequence[Job]:
    """Let the person make nothing there from now on; returns their jobs of there, which are stopped."""
    await session.merge(Block(person_id=person_id, guild_id=guild_id, words=words, by_id=by_id, at=at))
    query = select(Job).where(Job.owner_id == person_id, Job.state.in_(ACTIVE))
    if guild_id != EVERYWHERE:
        query = query.where(Job.guild_id == guild_id)
    jobs = (await session.scalars(query.with_for_update())).all()
    for job in jobs:
        await stop_job(session, job, at)
    return jobs


async def unblock_person(session: AsyncSession, person_id: int, guild_id: int) -> bool:
    """Returns False when the person was not blocked there."""
    block = await session.get(Block, (person_id, guild_id))
    if block is None:
        return False
    await session.delete(block)
    return True
