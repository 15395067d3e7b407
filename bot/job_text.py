"""What is said of a job: how it waits, why it failed, and whether it can still be stopped."""

from bot.language import N_, _
from storage.contract import FailureReason
from storage.schema import Job, JobState

NO_WORKERS = N_("No worker is there: nothing is drawn or trained until one starts.")
WORKERS_UNKNOWN = N_("The queue (Redis) does not answer, so I cannot tell how the workers stand.")
WORKER_STARTS = N_("loads its base model")
FAILURES = {
    FailureReason.PHOTOS_MISSING: N_("The photos were no longer there. Please run `/train` with them again."),
    FailureReason.MODEL_MISSING: N_("The model's file is no longer there. Please train it again."),
    FailureReason.MODEL_CORRUPT: N_("The model's file is damaged. Please train it again."),
    FailureReason.PICTURE_MISSING: N_("The picture to work on is no longer there. Please draw it again first."),
    FailureReason.OUT_OF_MEMORY: N_("It did not fit into the graphics card's memory. A smaller size or batch may fit."),
    FailureReason.DIVERGED: N_("Training ran out of hand twice. Try again with a lower learning rate or other photos."),
    FailureReason.UNSAFE: N_("The pictures did not pass the safety check, so they are not shown. Try another prompt."),
    FailureReason.UPGRADE: N_("The worker is of another version than I am. Please tell whoever runs this bot."),
    FailureReason.ENGINE_DIED: N_("The worker broke down over it. Please try again."),
    FailureReason.GAVE_UP: N_("Several workers tried and none came to an end. Please try again later."),
    FailureReason.CLASS_DOUBTFUL: N_(
        "The photos seem to show something else than the class says, so nothing was trained."
    ),
}
TOO_LATE_TO_STOP = {
    JobState.SUCCEEDED: N_("It is too late to stop that: it has already finished."),
    JobState.FAILED: N_("It is too late to stop that: it has already failed."),
    JobState.CANCELLED: N_("It is too late to stop that: it has already been cancelled."),
}


def in_line(place: int, *, worker_alive: bool) -> str:
    """Say how a job waits; `place` counts from 1."""
    line = _("Next in line.") if place <= 1 else _("Number {place} in line.").format(place=place)
    return line if worker_alive else " ".join([line, _("No worker is running right now; I keep your place.")])


def too_late(job: Job) -> str:
    """Say of a job that is done, where it is so, that its owner wanted it stopped."""
    if job.cancel_requested_at is None:
        return ""
    return " " + _("It was done before the worker heard that you wanted it stopped.")


def why_failed(reason: FailureReason | None) -> str:
    return str(FAILURES[reason or FailureReason.GAVE_UP])
