"""How much a server lets its members ask for in a day: everybody, and those who have certain roles."""

from collections.abc import Collection, Sequence

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import JobKind
from storage.errors import TooManyLimits
from storage.schema import Limit

EVERYBODY = 0
"""Stands where a role stands."""
MOST_ROLES = 25
LIMITS = select(Limit.role_id, Limit.per_day).where(
    Limit.guild_id == bindparam("guild"),
    Limit.kind == bindparam("kind"),
    Limit.role_id.in_(bindparam("roles", expanding=True)),
)


async def limit_of(session: AsyncSession, kind: JobKind, guild_id: int, roles: Collection[int]) -> int | None:
    """Return what a person with these roles may ask for in the server; None where it says nothing.

    A role's limit stands in place of everybody's; of several the most generous counts.
    """
    found = await session.execute(LIMITS, {"guild": guild_id, "kind": kind, "roles": [EVERYBODY, *roles]})
    rows: dict[int, int] = {row.role_id: row.per_day for row in found}
    everybody = rows.pop(EVERYBODY, None)
    return max(rows.values(), default=everybody)


async def limits_of(session: AsyncSession, guild_id: int) -> Sequence[Limit]:
    """Return all that a server has, everybody's first."""
    return (await session.scalars(select(Limit).where(Limit.guild_id == guild_id).order_by(Limit.role_id))).all()


async def set_limit(session: AsyncSession, guild_id: int, role_id: int, kind: JobKind, per_day: int) -> None:
    """Raises `TooManyLimits` for one role too many."""
    others = select(func.count(Limit.role_id.distinct())).where(Limit.guild_id == guild_id)
    others = others.where(Limit.role_id.not_in((EVERYBODY, role_id)))
    if role_id != EVERYBODY and (await session.scalar(others) or 0) >= MOST_ROLES:
        raise TooManyLimits(MOST_ROLES)
    await session.merge(Limit(guild_id=guild_id, role_id=role_id, kind=kind, per_day=per_day))


async def drop_limits(session: AsyncSession, guild_id: int, role_id: int) -> None:
    await session.execute(delete(Limit).where(Limit.guild_id == guild_id, Limit.role_id == role_id))
