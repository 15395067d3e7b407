"""What the bot says to those who look after it, and about what they decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from discord.utils import format_dt

from bot.language import _
from bot.text import REPORT_REASONS, bold, gpu_time, plain, quote
from storage.contract import JobKind
from storage.reports import Case, Reason, Verdict
from storage.schema import Pause
from storage.statistics import Day, Figures

MAX_WORDS = 300
PROMPT_CHARS, NOTE_CHARS, MOST_REPORTS = 200, 200, 3
"""What is shown of a reported card: three of them fit into a message."""

PAUSED = (
    "Paused. Nothing new is taken in; what was asked for before goes on. `/admin resume` ends it, a restart does not."
)
DRAINED = (
    "Draining. Nothing new is taken in, and nothing that waits is begun; what a worker has in hand goes on. When "
    "`/admin status` shows nothing under way, the worker can go. `/admin resume` ends it, a restart does not."
)
RESUMED = "Going on: requests are taken in again, and what waits begins."
NOT_PAUSED = "Nothing was paused. Requests are taken in."
WHERE = {True: "anywhere", False: "in this server"}
BLOCKED = (
    "<@{person}> may make nothing {where} any more; requests stopped: {stopped}. They can still see and delete what is "
    "theirs. `/admin unblock` ends it."
)
UNBLOCKED = "<@{person}> may use me again {where}."
WAS_NOT_BLOCKED = "<@{person}> was not blocked {where}."
NOT_BLOCKABLE = "Bots, those who run me, and you yourself cannot be blocked. Choose somebody else."
TAKEN_DOWN = (
    "{name}, of <@{owner}>, is taken down: nobody can use it or find it, and what was under way with it is stopped. "
    "{told} `/admin restore` gives it back."
)
TOLD = {
    True: "Its owner has a direct message with your reason.",
    False: "Its owner has not let me write to them directly; `/models` tells them why.",
}
RESTORED = "{name}, of <@{owner}>, can be used again as before."


class Part(Enum):
    """What `/admin test` looks at."""

    DATABASE = "database"
    BLOBS = "blobs"
    REDIS = "redis"
    WORKER = "worker"
    CHANNEL = "channel"
    PICTURE = "picture"


@dataclass(frozen=True)
class Tested:
    label: str
    hint: str
    """What to look at when it fails."""


PARTS = {
    Part.DATABASE: Tested("Database: a row written, read and removed", "Look at `DATABASE_URL`, and at its disk."),
    Part.BLOBS: Tested("Blob store: a file stored, read and removed", "Look at `BLOB_URL`, its key, and its disk."),
    Part.REDIS: Tested("Redis answers", "It does not. Look at `REDIS_URL`, and whether it runs."),
    Part.WORKER: Tested("A worker for my base model", "There is none. `BASE_MODEL` must be the same on both sides."),
    Part.CHANNEL: Tested("My permissions in this channel", ""),
    Part.PICTURE: Tested("A picture drawn by a worker, and forgotten", "The worker's log says more."),
}
TEST_PROMPT = "a boat at sea"
OUTCOMES = {"works": "✓ works", "fails": "✗ fails", "not tried": "– not tried"}
TESTING = "-# Testing…"
ALL_WORKS, SOMETHING_FAILS = "Everything works.", "Something needs you: see what fails."

NO_REPORTS = "Nobody has reported anything that is not decided about."
DECIDED = {
    Verdict.DISMISSED: "Dismissed. Nothing was changed.",
    Verdict.REMOVED: "The pictures are deleted, here and from my store.",
    Verdict.TAKEN_DOWN: "The pictures are deleted, and {name}, of <@{owner}>, is taken down. {told}",
    Verdict.BLOCKED: "The pictures are deleted, and <@{asker}> may make nothing any more. `/admin unblock` ends it.",
}
DECISIONS = {
    Verdict.DISMISSED: "Dismiss",
    Verdict.REMOVED: "Remove the pictures",
    Verdict.TAKEN_DOWN: "Take the model down",
    Verdict.BLOCKED: "Block who asked",
}

KINDS = {JobKind.IMAGINE: ("picture", "pictures"), JobKind.TRAIN: ("training", "trainings")}
LIMITS_EXPLAINED = (
    "-# A role's limit stands in place of everybody's; of several roles the most generous counts. What a person asked "
    "for anywhere in 24 hours counts together. Set limits with `/admin quotas` and its options."
)

CHANNELS_OPEN = "In every channel that I can see."
CHANNELS_CHOSEN = "In {} alone, and in their threads. Elsewhere I say so to whoever asks, and to nobody else."
CHANNELS_EXPLAINED = (
    "-# It is about making something: people find what is theirs in `/models`, `/jobs` and `/settings` everywhere. "
    "Choose no channel to open them all."
)


def limited(kind: JobKind, per_day: int | None, *, is_usual: bool = False) -> str:
    """Say how much of a kind may be asked for; None is as much as one likes."""
    one, many = KINDS[kind]
    how_many = (
        f"any number of {many}"
        if per_day is None
        else f"{f'{per_day:,}' if per_day else 'no'} {one if per_day == 1 else many}"
    )
    return f"{how_many} (the usual)" if is_usual else how_many


FIGURES = {
    "pictures": "Pictures",
    "trainings": "Trainings",
    "people": "People",
    "gpu_seconds": "GPU seconds",
    "failures": "Failures",
}
"""By the fields of `Figures`."""


def figures_told(figures: Figures, price_per_hour: float = 0, currency: str = "") -> str:
    """Say what some days came to."""
    asked = "nobody asked" if not figures.people else f"{figures.people:,} {_people(figures.people)} asked"
    lines = [
        f"- {limited(JobKind.IMAGINE, figures.pictures)} and {limited(JobKind.TRAIN, figures.trainings)}; {asked}",
        f"- {gpu_time(figures.gpu_seconds, price_per_hour, currency) if figures.gpu_seconds else 'no GPU time'}",
        f"- {figures.failures or 'no'} {'failure' if figures.failures == 1 else 'failures'}",
    ]
    return "\n".join(lines)


def chart_told(days: Sequence[Day]) -> str:
    """Say in words what the chart shows, for those who do not see it."""
    rows = [
        f"{label} {', '.join(f'{getattr(day.figures, name):.0f}' for day in days)}." for name, label in FIGURES.items()
    ]
    return f"Bars for each day from {days[0].date:%d %B} to {days[-1].date:%d %B %Y}. {' '.join(rows)}"


def _people(count: int) -> str:
    return "person" if count == 1 else "people"


def standing_of_pause(pause: Pause) -> str:
    """Say since when nothing is taken in, by whom, and what people are told."""
    what = "Draining: nothing is taken in or begun" if pause.drains else "Paused: nothing new is taken in"
    words = f"\n> {plain(pause.words)}" if pause.words.strip() else ""
    return f"**{what}**, since {format_dt(pause.at, 'R')}, by <@{pause.operator_id}>{words}"


def taken_down_notice(name: str, words: str) -> str:
    return (
        f"Those who run this bot have taken down your model {bold(name)}: nobody can draw with it for now.\n"
        f"> {plain(words)}\nYou find it under `/models`, where you can delete it. If you think that this is a mistake, "
        "ask whoever runs the bot."
    )


def why_reported(case: Case) -> str:
    """Tell whom a decision concerns what the first report said; who reported stays unsaid."""
    return _("A picture was reported: {reason}.").format(reason=REPORT_REASONS[Reason(case.reports[0].reason)])


def case_told(case: Case, name: str | None, owner_id: int | None, address: str | None) -> str:
    """Tell operators of one card: what people say of it, and whose it is."""
    job = case.job
    where = "A private reply" if address is None else f"[A card]({address})"
    drawn = "drawn by the plain base" if name is None else f"drawn by {bold(name)} of <@{owner_id}>"
    prompt = "the words are deleted" if job.prompt_shown is None else quote(job.prompt_shown, PROMPT_CHARS)
    lines = [f"**{where}** of <@{job.owner_id}>, {drawn}: {prompt}"]
    for report in case.reports[:MOST_REPORTS]:
        note = f": {quote(report.note, NOTE_CHARS)}" if report.note.strip() else ""
        reason = REPORT_REASONS[Reason(report.reason)]
        lines.append(f"- {reason}, says <@{report.reporter_id}> {format_dt(report.at, 'R')}{note}")
    if len(case.reports) > MOST_REPORTS:
        lines.append(f"- and {len(case.reports) - MOST_REPORTS} more people")
    return "\n".join(lines)
