"""Stop a job on its owner's word, and say truthfully what came of it."""

from bot.services import Services
from storage.jobs import request_cancel
from storage.schema import JobState

STOPPED = "Cancelled. It had not begun, so nothing is lost."
ASKED = "I asked the worker to stop. It does so after the step it is in; the message above will say when it has."


async def cancel(services: Services, job_id: str, asker_id: int) -> str:
    """Return what to tell the asker. Raises `NotYourJob`, `JobAlreadyEnded`."""
    async with services.database.write() as session:
        job = await request_cancel(session, job_id, asker_id, services.clock())
    services.queue.wake()
    services.wake_delivery()
    return STOPPED if job.state is JobState.CANCELLED else ASKED
