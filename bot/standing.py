"""Where a person stands with the bot: what `/help` should say to them, and what they have used."""

from dataclasses import dataclass
from enum import Enum

from sqlalchemy.ext.asyncio import AsyncSession

from storage.models import own_models, usable_models
from storage.schema import ModelStatus


class State(Enum):
    NOTHING = "nothing"
    LEARNING = "learning"
    FAILED = "failed"
    GUEST = "guest"
    """They have none of their own and may draw with others'."""
    OWNER = "owner"


@dataclass(frozen=True)
class Standing:
    state: State
    name: str = ""
    """The model that it is about."""


async def standing_of(session: AsyncSession, person_id: int, guild_id: int | None) -> Standing:
    own = await own_models(session, person_id, 0, 25)
    usable = await usable_models(session, person_id, guild_id)
    ready = [model for model in own if model.status is ModelStatus.READY]
    if ready:
        return Standing(State.OWNER, ready[0].name)
    learning = [model for model in own if model.status is ModelStatus.TRAINING]
    if learning:
        return Standing(State.LEARNING, learning[0].name)
    failed = [model for model in own if model.status is ModelStatus.FAILED]
    if failed:
        return Standing(State.FAILED, failed[0].name)
    return Standing(State.GUEST, usable[0].name) if usable else Standing(State.NOTHING)
