"""Which models a person's words mean, of those that can draw for them."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import discord
from sqlalchemy.ext.asyncio import AsyncSession

from bot.access import seen_model
from bot.limits import roles_of
from bot.prompts import Reading, fold, pick, read_prompt, tidy
from storage.errors import ModelNotFound, ModelNotReady
from storage.models import check_up, models_named
from storage.schema import Model, ModelStatus

MODEL_ID = re.compile(r"[0-9a-f]{32}")


async def pick_model(session: AsyncSession, wanted: str, interaction: discord.Interaction[Any]) -> Model:
    """Return a model that can draw, by its id or name. Raises `ModelNotFound`, `ModelNotReady`, `AmbiguousName`."""
    return ready(_choose(wanted, await models_meant(session, wanted, (), interaction), interaction.user.id))


async def models_meant(
    session: AsyncSession, chosen: str | None, prompts: Iterable[str], interaction: discord.Interaction[Any]
) -> Sequence[Model]:
    """Return what the prompts may mean; or of a model that was chosen, what that may mean, be it public."""
    models = await nameable_models(session, prompts if chosen is None else [chosen.strip()], interaction)
    if chosen is None or not MODEL_ID.fullmatch(chosen) or any(chosen == model.id for model in models):
        return models
    return [*models, await seen_model(session, chosen, interaction)]


async def nameable_models(
    session: AsyncSession, prompts: Iterable[str], interaction: discord.Interaction[Any]
) -> Sequence[Model]:
    """Return what prompts may mean: the models that can draw for this person here, and their own that cannot yet.

    Only such as have their names in the prompts, and some more: a server may share thousands.
    """
    said = "\n".join(fold(tidy(prompt)) for prompt in prompts)
    return await models_named(session, said, interaction.user.id, interaction.guild_id, roles_of(interaction))


def read_for(prompt: str, chosen: str | None, models: Sequence[Model], asker_id: int) -> Reading:
    reading = read_prompt(prompt, models, asker_id, None if chosen is None else _choose(chosen, models, asker_id))
    for model in reading.models:
        ready(model)
    return reading


def _choose(wanted: str, models: Sequence[Model], asker_id: int) -> Model:
    """Find the model that the option `model` means: its choices are ids, but a name can be typed as well."""
    for model in models:
        if model.id == wanted:
            return model
    named = pick(wanted.strip(), models, asker_id)
    if named is None:
        raise ModelNotFound
    return named


def ready(model: Model) -> Model:
    """Return the model, if it can draw. Raises `ModelTakenDown`, `ModelNotReady`."""
    check_up(model)
    if model.status is not ModelStatus.READY:
        raise ModelNotReady(model.name)
    return model
