"""What the bot says to those who look after it, and about what they decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from discord.utils import format_dt

from bot.cost_text import gpu_time
from bot.language import N_, _, ngettext
from bot.markup import bold, plain, quote
from bot.quota_text import AMOUNTS
from bot.report_text import REPORT_REASONS
from storage.contract import JobKind
from storage.reports import Case, Reason, Verdict
from storage.schema import Pause
from storage.statistics import Day, Figures

MAX_WORDS = 300
PROMPT_CHARS, NOTE_CHARS, MOST_REPORTS = 200, 200, 3
"""What is shown of a reported card: three of them fit into a message."""

PAUSED = N_(
    "Paused. Nothing new is taken in; what was asked for before goes on. `/admin resume` ends it, a restart does not."
)
DRAINED = N_(
    "Draining. Nothing new is taken in, and nothing that waits is begun; what a worker has in hand goes on. When "
    "`/admin status` shows nothing under way, the worker can go. `/admin resume` ends it, a restart does not."
)
RESUMED = N_("Going on: requests are taken in again, and what waits begins.")
NOT_PAUSED = N_("Nothing was paused. Requests are taken in.")
BLOCKED = {
    True: N_(
        "<@{person}> may make nothing anywhere any more; requests stopped: {stopped}. They can still see and delete "
        "what is theirs. `/admin unblock` ends it."
    ),
    False: N_(
        "<@{person}> may make nothing in this server any more; requests stopped: {stopped}. They can still see and "
        "delete what is theirs. `/admin unblock` ends it."
    ),
}
"""By whether it is everywhere."""
UNBLOCKED = {
    True: N_("<@{person}> may use me again anywhere."),
    False: N_("<@{person}> may use me again in this server."),
}
WAS_NOT_BLOCKED = {
    True: N_("<@{person}> was not blocked anywhere."),
    False: N_("<@{person}> was not blocked in this server."),
}
NOT_BLOCKABLE = N_("Bots, those who run me, and you yourself cannot be blocked. Choose somebody else.")
TAKEN_DOWN = N_(
    "{name}, of <@{owner}>, is taken down: nobody can use it or find it, and what was under way with it is stopped. "
    "{told} `/admin restore` gives it back."
)
TOLD = {
    True: N_("Its owner has a direct message with your reason."),
    False: N_("Its owner has not let me write to them directly; `/models` tells them why."),
}
RESTORED = N_("{name}, of <@{owner}>, can be used again as before.")


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
    label: N_
    hint: N_ | None
    """What to look at when it fails."""


PARTS = {
    Part.DATABASE: Tested(
        N_("Database: a row written, read and removed"), N_("Look at `DATABASE_URL`, and at its disk.")
    ),
    Part.BLOBS: Tested(
        N_("Blob store: a file stored, read and removed"), N_("Look at `BLOB_URL`, its key, and its disk.")
    ),
    Part.REDIS: Tested(N_("Redis answers"), N_("It does not. Look at `REDIS_URL`, and whether it runs.")),
    Part.WORKER: Tested(
        N_("A worker for my base model"), N_("There is none. `BASE_MODEL` must be the same on both sides.")
    ),
    Part.CHANNEL: Tested(N_("My permissions in this channel"), None),
    Part.PICTURE: Tested(N_("A picture drawn by a worker, and forgotten"), N_("The worker's log says more.")),
}
TEST_PROMPT = "a boat at sea"
OUTCOMES = {"works": N_("✓ works"), "fails": N_("✗ fails"), "not tried": N_("– not tried")}
TESTING = N_("-# Testing…")
ALL_WORKS, SOMETHING_FAILS = N_("Everything works."), N_("Something needs you: see what fails.")

NO_REPORTS = N_("Nobody has reported anything that is not decided about.")
DECIDED = {
    Verdict.DISMISSED: N_("Dismissed. Nothing was changed."),
    Verdict.REMOVED: N_("The pictures are deleted, here and from my store."),
    Verdict.TAKEN_DOWN: N_("The pictures are deleted, and {name}, of <@{owner}>, is taken down. {told}"),
    Verdict.BLOCKED: N_(
        "The pictures are deleted, and <@{asker}> may make nothing any more. `/admin unblock` ends it."
    ),
}
DECISIONS = {
    Verdict.DISMISSED: N_("Dismiss"),
    Verdict.REMOVED: N_("Remove the pictures"),
    Verdict.TAKEN_DOWN: N_("Take the model down"),
    Verdict.BLOCKED: N_("Block who asked"),
}

UNLIMITED = {
    JobKind.IMAGINE: N_("any number of pictures"),
    JobKind.TRAIN: N_("any number of trainings"),
}
NONE_OF = {JobKind.IMAGINE: N_("no pictures"), JobKind.TRAIN: N_("no trainings")}
LIMITS_EXPLAINED = N_(
    "-# A role's limit stands in place of everybody's; of several roles the most generous counts. What a person asked "
    "for anywhere in 24 hours counts together. Set limits with `/admin quotas` and its options."
)

CHANNELS_OPEN = N_("In every channel that I can see.")
CHANNELS_CHOSEN = N_(
    "In {channels} alone, and in their threads. Elsewhere I say so to whoever asks, and to nobody else."
)
CHANNELS_EXPLAINED = N_(
    "-# It is about making something: people find what is theirs in `/models`, `/jobs` and `/settings` everywhere. "
    "Choose no channel to open them all."
)


def limited(kind: JobKind, per_day: int | None, *, is_usual: bool = False) -> str:
    """Say how much of a kind may be asked for; None is as much as one likes."""
    none = UNLIMITED if per_day is None else NONE_OF
    amount = AMOUNTS[kind].format(per_day) if per_day else str(none[kind])
    return _("{amount} (the usual)").format(amount=amount) if is_usual else amount


FIGURES = {
    "pictures": N_("Pictures"),
    "trainings": N_("Trainings"),
    "people": N_("People"),
    "gpu_seconds": N_("GPU seconds"),
    "failures": N_("Failures"),
}
"""By the fields of `Figures`."""


def figures_told(figures: Figures, price_per_hour: float = 0, currency: str = "") -> str:
    """Say what some days came to."""
    amounts = {
        "pictures": limited(JobKind.IMAGINE, figures.pictures),
        "trainings": limited(JobKind.TRAIN, figures.trainings),
    }
    if figures.people:
        made = ngettext(
            "{pictures} and {trainings}; one person asked",
            "{pictures} and {trainings}; {count} people asked",
            figures.people,
        )
    else:
        made = _("{pictures} and {trainings}; nobody asked")
    took = gpu_time(figures.gpu_seconds, price_per_hour, currency) if figures.gpu_seconds else _("no GPU time")
    failed = ngettext("{count} failure", "{count} failures", figures.failures) if figures.failures else _("no failures")
    return "\n".join(f"- {line}" for line in (made.format(**amounts), took, failed))


def chart_told(days: Sequence[Day]) -> str:
    """Say in words what the chart shows, for those who do not see it."""
    first, last = days[0].date, days[-1].date
    rows = [
        f"{label} {', '.join(f'{getattr(day.figures, name):.0f}' for day in days)}." for name, label in FIGURES.items()
    ]
    return " ".join([_("Bars for each day from {first} to {last}.").format(first=first, last=last), *rows])


def standing_of_pause(pause: Pause) -> str:
    """Say since when nothing is taken in, by whom, and what people are told."""
    facts = {"when": format_dt(pause.at, "R"), "operator": pause.operator_id}
    if pause.drains:
        said = _("**Draining: nothing is taken in or begun**, since {when}, by <@{operator}>")
    else:
        said = _("**Paused: nothing new is taken in**, since {when}, by <@{operator}>")
    words = f"\n> {plain(pause.words)}" if pause.words.strip() else ""
    return said.format(**facts) + words


def taken_down_notice(name: str, words: str) -> str:
    return _(
        "Those who run this bot have taken down your model {name}: nobody can draw with it for now.\n"
        "> {words}\nYou find it under `/models`, where you can delete it. If you think that this is a mistake, ask "
        "whoever runs the bot."
    ).format(name=bold(name), words=plain(words))


def why_reported(case: Case) -> str:
    """Tell whom a decision concerns what the first report said; who reported stays unsaid."""
    return _("A picture was reported: {reason}.").format(reason=REPORT_REASONS[Reason(case.reports[0].reason)])


def case_told(case: Case, name: str | None, owner_id: int | None, address: str | None) -> str:
    """Tell operators of one card: what people say of it, and whose it is."""
    job = case.job
    where = _("A private reply") if address is None else _("[A card]({address})").format(address=address)
    if name is None:
        about = _("**{card}** of <@{asker}>, drawn by the plain base: {prompt}")
    else:
        about = _("**{card}** of <@{asker}>, drawn by {model} of <@{owner}>: {prompt}")
    prompt = _("the words are deleted") if job.prompt_shown is None else quote(job.prompt_shown, PROMPT_CHARS)
    model = None if name is None else bold(name)
    lines = [about.format(card=where, asker=job.owner_id, model=model, owner=owner_id, prompt=prompt)]
    for report in case.reports[:MOST_REPORTS]:
        note = f": {quote(report.note, NOTE_CHARS)}" if report.note.strip() else ""
        said = _("{reason}, says <@{reporter}> {when}").format(
            reason=REPORT_REASONS[Reason(report.reason)],
            reporter=report.reporter_id,
            when=format_dt(report.at, "R"),
        )
        lines.append(f"- {said}{note}")
    if (more := len(case.reports) - MOST_REPORTS) > 0:
        lines.append("- " + ngettext("and {count} more person", "and {count} more people", more))
    return "\n".join(lines)
