"""Block a person, and stop what they have under way."""

from bot.services import Services
from storage.blocks import block_person


async def block_and_stop(services: Services, person_id: int, guild_id: int, by_id: int, words: str) -> int:
    """Return how many jobs were stopped."""
    async with services.database.write() as session:
        jobs = await block_person(session, person_id, guild_id, by_id, words, services.clock())
    for job in jobs:
        await services.queue.stop(job)
    services.wake_delivery()
    return len(jobs)
