"""What is said of a report: why one is made, what becomes of it, and that it is decided."""

from bot.language import N_, _
from bot.markup import quote
from storage.reports import Reason, Verdict
from storage.schema import Job

REPORT_REASONS = {
    Reason.PERSON: N_("It shows somebody who did not agree"),
    Reason.SEXUAL: N_("It is sexual"),
    Reason.MINOR: N_("It shows a child in a harmful way"),
    Reason.HATE: N_("It is hateful or cruel"),
    Reason.OTHER: N_("Something else"),
}
REPORTED = N_(
    "Thank you. Those who run this bot will look at it. A moderator here can delete it at once by its button."
)
REPORTED_BEFORE = N_("You have reported this one already, and it is noted. Thank you.")
SETTLED = {
    Verdict.DISMISSED: N_("<@{operator}> has decided about that already: dismissed."),
    Verdict.REMOVED: N_("<@{operator}> has decided about that already: removed."),
    Verdict.TAKEN_DOWN: N_("<@{operator}> has decided about that already: taken down."),
    Verdict.BLOCKED: N_("<@{operator}> has decided about that already: blocked."),
}


def report_notice(job: Job, reporter_id: int, reason: Reason, note: str, address: str | None) -> str:
    """Tell operators what was reported, with nothing in it that could ping or mislead."""
    people = {"reporter": reporter_id, "asker": job.owner_id}
    if address is None:
        where = _("<@{reporter}> about a private reply, which <@{asker}> asked for.").format(**people)
    else:
        where = _("<@{reporter}> about [this card]({address}), which <@{asker}> asked for.").format(
            **people, address=address
        )
    lines = [
        _("### Reported: {reason}").format(reason=REPORT_REASONS[reason]),
        where,
        _("Prompt: {prompt}").format(prompt=quote(job.prompt_shown or "–")),
    ]
    if note.strip():
        lines.append(_("They say: {note}").format(note=quote(note)))
    return "\n".join([*lines, _("-# Job `{job}`").format(job=job.id)])
