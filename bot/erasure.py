"""Delete a model so that nothing of it is left: rows at once, and every blob that was made for or with it."""

from functools import partial

from bot.loops import Wake, forever
from bot.services import Services
from storage.bin import overdue_models
from storage.erasure import delete_model
from storage.models import trainings_of

LOOK_SECONDS = 300.0
BATCH = 20


async def empty_bin(services: Services) -> None:
    """Erase the deleted models whose owners have let their day go by; runs for ever."""
    await forever("the removal of deleted models", partial(erase_overdue, services), Wake(LOOK_SECONDS).rest)


async def erase_overdue(services: Services) -> None:
    async with services.database.read() as session:
        overdue = await overdue_models(session, services.clock(), BATCH)
    for model in overdue:
        await erase_model(services, model.id, model.owner_id)


async def erase_model(services: Services, model_id: str, owner_id: int) -> None:
    """Raises `ModelNotFound`. If this dies half way, the sweep of orphans deletes the remaining blobs."""
    async with services.database.write() as session:
        trainings = await trainings_of(session, model_id)
        keys = await delete_model(session, model_id, owner_id, services.clock())
    services.queue.wake()
    services.wake_delivery()
    folders = [f"models/{model_id}"]
    folders += [f"{kind}/{job}" for job in trainings for kind in ("photos", "samples", "checkpoints")]
    for folder in folders:
        keys += await services.blobs.list(folder)
    for key in keys:
        await services.blobs.delete(key)
