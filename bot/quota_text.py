"""How much one may ask for in a day, and what is said when that is used up."""

from discord.utils import format_dt

from bot.language import N_, Plural, _, ngettext
from storage.contract import JobKind
from storage.errors import QuotaUsedUp

AMOUNTS = {
    JobKind.TRAIN: Plural("{count} training", "{count} trainings"),
    JobKind.IMAGINE: Plural("{count} picture", "{count} pictures"),
}
FREE = N_("What fails through no fault of yours costs nothing, and neither does what you cancel in time.")
NOTHING_ALLOWED = {
    JobKind.TRAIN: N_("You can ask for no trainings in this server. Those who manage it can change that."),
    JobKind.IMAGINE: N_("You can ask for no pictures in this server. Those who manage it can change that."),
}


def used_up(error: QuotaUsedUp) -> str:
    """Say what the limit is, and when it frees up."""
    if not error.limit:
        return str(NOTHING_ALLOWED[error.kind])
    when = ""
    if error.free_at is not None:
        when = _("{how_long}, at {when}").format(
            how_long=format_dt(error.free_at, "R"), when=format_dt(error.free_at, "t")
        )
    if error.kind is JobKind.TRAIN:
        return ngettext(
            "You have had your {count} training of the last 24 hours. You can start the next one {when}.",
            "You have had your {count} trainings of the last 24 hours. You can start the next one {when}.",
            error.limit,
        ).format(when=when)
    if not error.left:
        return ngettext(
            "You have had your {count} picture of the last 24 hours. There will be more {when}.",
            "You have had your {count} pictures of the last 24 hours. There will be more {when}.",
            error.limit,
        ).format(when=when)
    said = _("You have {left} of your {limit} pictures in 24 hours left: ask for fewer at once.").format(
        left=error.left, limit=error.limit
    )
    return " ".join([said, _("So many will fit {when}.").format(when=when)]) if when else said
