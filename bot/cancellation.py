"""Stop a job on its owner's word, and say truthfully what came of it."""

from bot.language import N_
from bot.services import Services
from storage.companions import members
from storage.contract import Stage
from storage.errors import JobAlreadyEnded, UserError
from storage.faults import reach
from storage.history import own_job
from storage.jobs import active_requests, request_cancel
from storage.schema import Job, JobState

NOT_BEGUN = N_("Cancelled. It had not begun, and it does not count towards your limit.")
BETWEEN_WORKERS = N_("Cancelled while it waited for another worker. It does not count towards your limit.")
WORKER_GONE = N_("Cancelled. Its worker was gone, and nothing is kept of what that had done.")
IN_LINE = N_(
    "I take it out of the line as soon as I can. If a worker begins with it before that, it stops after its next step. "
    "The card and `/jobs` say when it has."
)
ASKED = N_(
    "I asked the worker to stop. It does so after the step it is in, and the card and `/jobs` say when it has; "
    "if it is done before that, you keep what it made. What has begun counts towards your limit."
)
ASKED_WHILE_SAVING = N_(
    "I asked the worker to stop, but it is saving already. If it hears of it in time, nothing is kept; "
    "otherwise the model is there. The card and `/jobs` say which."
)
ASKED_BEFORE = N_("You have asked for that already, and it is stopping. The card and `/jobs` say when it has.")
NO_WORKER = N_(
    "No worker answers right now. It is cancelled as soon as I am sure that its own is gone, within a minute or two."
)


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
        asked_before = (await own_job(session, job_id, asker_id)).cancel_requested_at is not None
        active = [job for job in await members(session, job_id) if not job.state.ended]
        asked = await request_cancel(session, job_id, asker_id, services.clock())
    reach("cancel.asked")
    for job in active:
        await services.queue.stop(job)
    services.wake_delivery()
    async with services.database.read() as session:
        job = await own_job(session, asked.id, asker_id)
    return str(await _what_came_of_it(services, job, asked_before=asked_before))


async def the_only_job(services: Services, owner_id: int) -> str:
    """Return the id of the person's one active job. Raises NothingUnderWay, SeveralUnderWay."""
    async with services.database.read() as session:
        jobs = await active_requests(session, owner_id)
    if not jobs:
        raise NothingUnderWay
    if len(jobs) > 1:
        raise SeveralUnderWay(len(jobs))
    return jobs[0].id


async def _what_came_of_it(services: Services, job: Job, *, asked_before: bool) -> N_:
    match job.state:
        case JobState.CANCELLED if job.started_at is not None:
            return WORKER_GONE
        case JobState.CANCELLED:
            return NOT_BEGUN if job.attempt == 1 else BETWEEN_WORKERS
        case JobState.SUCCEEDED | JobState.FAILED:  # at this very moment
            raise JobAlreadyEnded(job.state)
        case JobState.ACCEPTED | JobState.QUEUED:
            return IN_LINE
        case _ if not await services.queue.worker_alive(job.base):
            return NO_WORKER
        case _ if asked_before:
            return ASKED_BEFORE
        case _:
            return ASKED_WHILE_SAVING if job.stage is Stage.SAVING else ASKED
