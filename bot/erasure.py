"""Delete a model so that nothing of it is left: rows at once, and every blob that was made for or with it."""

from bot.services import Services
from storage.models import delete_model, trainings_of


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
