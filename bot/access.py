"""Who may press what. Every press asks here again: a button that is seen need not be the presser's."""

from typing import Any

import discord
from sqlalchemy.ext.asyncio import AsyncSession

from bot.limits import roles_of
from storage.errors import ModelNotFound, UserError
from storage.models import find_model, find_own_model
from storage.schema import Job, Model


class NotYourModel(UserError):
    """The message shows whose model it is, so naming the owner tells nothing new."""

    def __init__(self, owner_id: int) -> None:
        super().__init__("somebody else's model")
        self.owner_id = owner_id


class NotYourPicture(UserError):
    def __init__(self, owner_id: int) -> None:
        super().__init__("somebody else's picture")
        self.owner_id = owner_id


class NotYourDataset(UserError):
    """The card shows who asked for it."""

    def __init__(self, owner_id: int) -> None:
        super().__init__("somebody else's data set")
        self.owner_id = owner_id


class NotForYou(UserError):
    """The offer is for somebody else."""

    def __init__(self, owner_id: int, heir_id: int) -> None:
        super().__init__("somebody else's offer")
        self.owner_id, self.heir_id = owner_id, heir_id


class NotAManager(UserError):
    """The command is for those who manage the server."""


class NotAnOperator(UserError):
    """The command is for those who run the bot, whom its settings name."""


def operates(interaction: discord.Interaction[Any]) -> bool:
    """Tell whether the settings name this person as one who runs the bot."""
    return interaction.user.id in interaction.client.services.settings.operator_ids


def check_operates(interaction: discord.Interaction[Any]) -> None:
    """Raises `NotAnOperator`."""
    if not operates(interaction):
        raise NotAnOperator


def check_manages(interaction: discord.Interaction[Any]) -> None:
    """Let whoever may manage the server, and those who run the bot. Raises `NotAManager`."""
    manages = interaction.guild_id is not None and interaction.permissions.manage_guild
    if not manages and not operates(interaction):
        raise NotAManager


async def seen_model(session: AsyncSession, model_id: str, interaction: discord.Interaction[Any]) -> Model:
    """Return a model of the presser's own, or one that they may use here. Raises `ModelNotFound`."""
    return await find_model(session, model_id, interaction.user.id, interaction.guild_id, roles_of(interaction))


async def own_model(session: AsyncSession, model_id: str, presser_id: int) -> Model:
    """Return the presser's model. Raises `NotYourModel`, or `ModelNotFound` when it is deleted."""
    try:
        return await find_own_model(session, model_id, presser_id)
    except ModelNotFound:
        model = await session.get(Model, model_id)
        if model is None or model.deleted_at is not None:
            raise
        raise NotYourModel(model.owner_id) from None


def check_may_delete(job: Job, interaction: discord.Interaction[Any]) -> None:
    """Let whoever asked for a picture delete it, and whoever may delete messages here. Raises `NotYourPicture`."""
    moderates = interaction.guild_id is not None and interaction.permissions.manage_messages
    if job.owner_id != interaction.user.id and not moderates:
        raise NotYourPicture(job.owner_id)
