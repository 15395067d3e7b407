"""What can go wrong, as one tree.

DreambotError
├── UserError              a person can mend it; `bot/explanations.py` says it in words
│   ├── InvalidName        the name of a model cannot be used
│   ├── NameTaken          the person has another model of that name
│   ├── ModelNotFound      no such model, or not one that this person may see
│   ├── ModelNotReady      the model is still training, or its training failed
│   ├── NotYourJob         no such job, or somebody else's
│   ├── JobAlreadyEnded    too late to cancel
│   ├── PromptGone         the words of an old request are deleted
│   ├── PicturesGone       the pictures are deleted, or there never were any
│   ├── TrainingActive     one training per person at a time
│   ├── TooManyJobs        the person has enough jobs waiting
│   ├── LookNotFound       no such look here
│   ├── TooManyLooks       a server has as many looks of its own as it may
│   ├── QuotaUsedUp        the person has had what anybody may have in a day
│   ├── ModelTakenDown     those who run the bot withdrew the model
│   ├── Paused             nothing new is taken in
│   ├── Blocked            from this person nothing is taken in
│   ├── TooManyLimits      a server has limits for as many roles as it may
│   ├── AboveTheUsual      a server may not allow its members so much
│   ├── WrongChannel       the server has other channels for this
│   ├── ReportSettled      somebody has decided about the report before
│   └── NoRoom             the disk is nearly full
├── DatabaseInUse          another bot runs on this database
├── InvalidBlobKey         a key that no part of the project makes
└── BlobMissing            no blob under this key
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from storage.contract import JobKind


class DreambotError(Exception):
    """The root of every error that the project raises on purpose."""


class UserError(DreambotError):
    """Something that the person who asked can put right; carries facts, never sentences."""


class NameProblem(StrEnum):
    EMPTY = "empty"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    CHARACTERS = "characters"


class InvalidName(UserError):
    def __init__(self, problem: NameProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


class NameTaken(UserError):
    def __init__(self, name: str) -> None:
        super().__init__("the name is taken")
        self.name = name


class ModelNotFound(UserError):
    """Missing and not-yours are the same error, so that nobody learns what others have."""


class ModelNotReady(UserError):
    def __init__(self, name: str) -> None:
        super().__init__("the model is not ready")
        self.name = name


class ModelTakenDown(ModelNotReady):
    """By those who run the bot."""


class TooManyLimits(UserError):
    def __init__(self, most: int) -> None:
        super().__init__(f"{most} roles")
        self.most = most


class AboveTheUsual(UserError):
    """A server's manager wants to allow more than those who run the bot do."""

    def __init__(self, kind: JobKind, most: int) -> None:
        super().__init__(f"more than {most}")
        self.kind, self.most = kind, most


class NotYourJob(UserError):
    """Missing and not-yours are the same error here too."""


class JobAlreadyEnded(UserError):
    def __init__(self, state: str) -> None:
        super().__init__(f"the job has {state}")
        self.state = state


class PromptGone(UserError):
    """A prompt goes with its pictures, and after a while where there are none."""


class PicturesGone(UserError):
    """There is no picture of a model here that could be used."""


class QuestionClosed(UserError):
    """It was answered, or its photos waited too long."""


class TrainingActive(UserError):
    def __init__(self, job: str) -> None:
        super().__init__(f"job {job} is active")
        self.job = job


class TooManyJobs(UserError):
    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} jobs are active")
        self.limit = limit


class LookNotFound(UserError):
    """None of this name comes with the bot, and the server has none either."""


class TooManyLooks(UserError):
    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} looks")
        self.limit = limit


class QuotaUsedUp(UserError):
    """`left` of `limit` is what still fits now; at `free_at` the request will, unless it alone is above the limit."""

    def __init__(self, kind: JobKind, limit: int, left: int, free_at: datetime | None) -> None:
        super().__init__(f"{left} of {limit} left")
        self.kind, self.limit, self.left, self.free_at = kind, limit, left, free_at


class Paused(UserError):
    """`words` are the operator's own, and may be empty."""

    def __init__(self, words: str) -> None:
        super().__init__("paused")
        self.words = words


class Blocked(UserError):
    """`words` say why, and may be empty."""

    def __init__(self, words: str, *, everywhere: bool) -> None:
        super().__init__("blocked")
        self.words, self.everywhere = words, everywhere


class WrongChannel(UserError):
    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__("not in this channel")
        self.channels = channels


class ReportSettled(UserError):
    def __init__(self, by_id: int, verdict: str) -> None:
        super().__init__(f"settled as {verdict}")
        self.by_id, self.verdict = by_id, verdict


class DatabaseInUse(DreambotError):
    """`name` is the database's file."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class NoRoom(UserError):
    """What is left on the disk is kept for the jobs that are promised already."""


class InvalidBlobKey(DreambotError):
    """The key itself is not repeated: it may hold anything."""


class BlobMissing(DreambotError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key
