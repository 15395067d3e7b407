"""Take a model out of everybody's use, stop what draws with it, and tell its owner why."""

import logging

import discord

from bot.admin_text import taken_down_notice
from bot.language import spoken
from bot.services import Services
from storage.models import trainings_of
from storage.people import wants_direct_messages
from storage.schema import Job, Model
from storage.takedowns import take_down

log = logging.getLogger(__name__)


async def withdraw_model(
    client: discord.Client, services: Services, model_id: str, operator_id: int, words: str
) -> tuple[Model, bool]:
    """Return the model, and whether its owner could be told directly. Raises `ModelNotFound`."""
    async with services.database.write() as session:
        model, jobs = await take_down(session, model_id, operator_id, words, services.clock())
    for job in jobs:
        await services.queue.stop(job)
    services.wake_delivery()
    return model, await tell_owner(client, services, model, words)


async def tell_owner(client: discord.Client, services: Services, model: Model, words: str) -> bool:
    """Write to a model's owner why it is taken down, if they let us; returns whether they have it."""
    async with services.database.read() as session:
        if not await wants_direct_messages(session, model.owner_id):
            return False
        trainings = await trainings_of(session, model.id)
        training = await session.get(Job, trainings[-1]) if trainings else None
    with spoken(None if training is None else training.locale):
        notice = taken_down_notice(model.name, words)
    try:
        person = await client.fetch_user(model.owner_id)
        await person.send(notice)
    except discord.HTTPException as error:
        log.info("model %s: its owner could not be told, HTTP %s", model.id, error.status)
        return False
    return True
