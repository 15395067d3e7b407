"""Who uses the bot, and what they agreed to."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from storage.bases import Shape
from storage.contract import MAX_COUNT, MAX_PROMPT_CHARS
from storage.database import insert_new
from storage.schema import Consent, Owner


class Defaults(BaseModel):
    """What a person wants where a request leaves it open."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    count: int = Field(default=1, ge=1, le=MAX_COUNT)
    shape: Shape = Shape.SQUARE
    look: str | None = None
    """The look's id."""
    negative_prompt: str = Field(default="", max_length=MAX_PROMPT_CHARS)
    private: bool = False


async def ensure_owner(session: AsyncSession, owner_id: int, at: datetime) -> None:
    """Know the person, and let no other transaction decide anything about them until this one ends."""
    await insert_new(session, Owner, id=owner_id, created_at=at)
    await session.get(Owner, owner_id, with_for_update=True)


async def record_consent(
    session: AsyncSession, owner_id: int, text_version: str, text_digest: str, interaction_id: int, at: datetime
) -> None:
    await ensure_owner(session, owner_id, at)
    session.add(
        Consent(
            owner_id=owner_id, text_version=text_version, text_digest=text_digest, interaction_id=interaction_id, at=at
        )
    )


async def has_consent(session: AsyncSession, owner_id: int, text_digest: str) -> bool:
    """Tell whether the person agreed to this very text; an older wording does not count."""
    agreed = exists().where(Consent.owner_id == owner_id, Consent.text_digest == text_digest)
    return bool(await session.scalar(select(agreed)))


async def wants_direct_messages(session: AsyncSession, owner_id: int) -> bool:
    """Tell whether we may write to the person; nobody is written to who has not said so."""
    owner = await session.get(Owner, owner_id)
    return owner is not None and owner.direct_messages


async def set_direct_messages(session: AsyncSession, owner_id: int, wanted: bool, at: datetime) -> None:
    await ensure_owner(session, owner_id, at)
    (await session.get_one(Owner, owner_id)).direct_messages = wanted


async def defaults_of(session: AsyncSession, owner_id: int) -> Defaults:
    owner = await session.get(Owner, owner_id)
    return Defaults() if owner is None or owner.defaults is None else Defaults.model_validate(owner.defaults)


async def set_defaults(session: AsyncSession, owner_id: int, wanted: Defaults, at: datetime) -> None:
    await ensure_owner(session, owner_id, at)
    (await session.get_one(Owner, owner_id)).defaults = wanted.model_dump(mode="json", exclude_defaults=True) or None
