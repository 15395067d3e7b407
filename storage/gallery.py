"""Models by the page: whose they are, in which order, and found by a part of their name."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ColumnExpressionArgument,
    Integer,
    Select,
    and_,
    bindparam,
    distinct,
    func,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from storage.contract import JobKind
from storage.models import ASKER, HERE, ROLES, asked_by, draws_with, given_to
from storage.names import name_key
from storage.schema import Job, Model, ModelStatus

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
"""Before anything was public: a bound by which the index finds what is."""


class Scope(StrEnum):
    MINE = "mine"
    SERVER = "server"
    """Shared with the server where one looks."""
    GIVEN = "given"
    """Shared with this very person, or with a role that they have."""
    PUBLIC = "public"


class Sort(StrEnum):
    NEWEST = "new"
    NAME = "name"
    SCORE = "best"


async def count_models(
    session: AsyncSession, scope: Scope, viewer_id: int, guild_id: int | None, roles: Collection[int] = ()
) -> int:
    return await session.scalar(_count(scope), asked_by(viewer_id, guild_id, roles)) or 0


async def page_of_models(
    session: AsyncSession,
    scope: Scope,
    sort: Sort,
    viewer_id: int,
    guild_id: int | None,
    offset: int,
    limit: int,
    roles: Collection[int] = (),
) -> Sequence[Model]:
    asked = asked_by(viewer_id, guild_id, roles) | {"first": offset, "most": limit}
    return (await session.scalars(_page(scope, sort), asked)).all()


async def search_models(
    session: AsyncSession, typed: str, viewer_id: int, guild_id: int | None, limit: int, roles: Collection[int] = ()
) -> Sequence[Model]:
    """Return the models that the viewer can open here whose names hold what was typed: their own first."""
    scopes = or_(*(_within(scope) for scope in Scope))
    found = Model.name_key.contains(name_key(typed.strip()), autoescape=True)
    query = select(Model).where(scopes, found).order_by(Model.owner_id != viewer_id, Model.name_key, Model.id)
    return (await session.scalars(query.limit(limit), asked_by(viewer_id, guild_id, roles))).all()


async def uses_of(session: AsyncSession, model_id: str) -> tuple[int, int]:
    """Return how often a model was drawn with, and by how many people."""
    query = select(func.count(), func.count(distinct(Job.owner_id)))
    row = (await session.execute(query.where(draws_with(model_id), Job.kind == JobKind.IMAGINE))).one()
    return int(row[0]), int(row[1])


@cache
def _count(scope: Scope) -> Select[int]:
    return select(func.count()).select_from(Model).where(_within(scope))


@cache
def _page(scope: Scope, sort: Sort) -> Select[Model]:
    query = select(Model).where(_within(scope)).order_by(*_order(sort), Model.id)
    return query.offset(bindparam("first", type_=Integer)).limit(bindparam("most", type_=Integer))


def _within(scope: Scope) -> ColumnElement[bool]:
    there, ready = Model.deleted_at.is_(None), Model.status == ModelStatus.READY
    match scope:
        case Scope.MINE:
            return and_(Model.owner_id == ASKER, there)
        case Scope.SERVER:  # outside a server there is nothing: no model's server equals NULL
            return and_(Model.shared_guild_id == HERE, ready, there)
        case Scope.GIVEN:
            return given_to(ASKER, ROLES)
        case Scope.PUBLIC:
            return and_(Model.public_at > LONG_AGO, ready, there)


def _order(sort: Sort) -> tuple[ColumnExpressionArgument[Any], ...]:
    match sort:
        case Sort.NEWEST:
            return (Model.created_at.desc(),)
        case Sort.NAME:
            return (Model.name_key,)
        case Sort.SCORE:
            return (Model.subject_score.is_(None), Model.subject_score.desc())
