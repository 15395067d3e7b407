"""Stop a job on its owner's word, and say truthfully what came of it."""

from bot.services import Services
from storage.errors import UserError
from storage.faults import reach
from storage.jobs import active_jobs, request_cancel
from storage.schema import JobState

STOPPED = "Cancelled. It had not begun, so nothing is lost."
ASKED = "I asked the worker to stop. It does so after the step it is in, and the card will say when it has."


class NothingUnderWay(UserError):
    """The person has no active job."""


class SeveralUnderWay(UserError):
    """The person has several active jobs and named none."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


async def cancel(services: Services, job_id: str, asker_id: int) -> str:
    """Return what to tell the asker. Raises NotYourJob, JobAlreadyEnded."""
    async with services.database.write() as session:
        job = await request_cancel(session, job_id, asker_id, services.clock())
    reach("cancel.asked")
    services.queue.wake()
    services.wake_delivery()
    return STOPPED if job.state is JobState.CANCELLED else ASKED


async def the_only_job(services: Services, owner_id: int) -> str:
    """Return the id of the person's one active job. Raises NothingUnderWay, SeveralUnderWay."""
    async with services.database.read() as session:
        jobs = await active_jobs(session, owner_id)
    if not jobs:
        raise NothingUnderWay
    if len(jobs) > 1:
        raise SeveralUnderWay(len(jobs))
    return jobs[0].id
