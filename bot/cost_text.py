"""What something takes, in words: time, the GPU's time, and its price."""

from bot.estimates import Estimate
from bot.language import _, ngettext, number
from bot.markup import plain


def duration(seconds: float) -> str:
    if seconds < 60:
        return _("{seconds} s").format(seconds=max(1, round(seconds)))
    minutes = round(seconds / 60)
    if minutes < 60:
        return _("{minutes} min").format(minutes=minutes)
    return _("{hours} h {minutes} min").format(hours=minutes // 60, minutes=minutes % 60)


def money(gpu_seconds: float, price_per_hour: float, currency: str) -> str:
    """Say what GPU time costs; nothing where the operator named no price."""
    if not price_per_hour:
        return ""
    cost = gpu_seconds / 3600 * price_per_hour
    if cost < 0.01:
        return _("less than {cost}").format(cost=f"{number(0.01, 2)} {plain(currency)}")
    return _("about {cost}").format(cost=f"{number(cost, 2)} {plain(currency)}")


def gpu_time(gpu_seconds: float, price_per_hour: float = 0, currency: str = "") -> str:
    """Say what a job takes of the GPU, with its price where there is one."""
    cost, seconds = money(gpu_seconds, price_per_hour, currency), max(1, round(gpu_seconds))
    said = ngettext("{count} GPU second", "{count} GPU seconds", seconds)
    return _("{time} ({cost})").format(time=said, cost=cost) if cost else said


def estimated(estimate: Estimate, price_per_hour: float = 0, currency: str = "") -> str:
    """Say how long a training will take, and what it will cost."""
    facts = {"time": duration(estimate.seconds), "gpu": gpu_time(estimate.gpu_seconds, price_per_hour, currency)}
    if not estimate.ahead:
        said = _("It takes about {time}, {gpu}.").format(**facts)
    else:
        said = ngettext(
            "One training comes first: all in all about {time}, {gpu} of them for yours.",
            "{count} trainings come first: all in all about {time}, {gpu} of them for yours.",
            estimate.ahead,
        ).format(**facts)
    if estimate.measured:
        return said
    return " ".join([said, _("That is a first guess; I know better once a training has ended here.")])


def dataset_cost(count: int, picture_seconds: float | None, price_per_hour: float = 0, currency: str = "") -> str:
    """Say what so many pictures will take; nothing is known before there was one."""
    if picture_seconds is None:
        return _("What they take I know once a picture was drawn here.")
    seconds = count * picture_seconds
    return _("They take about {time}, {gpu}.").format(
        time=duration(seconds), gpu=gpu_time(seconds, price_per_hour, currency)
    )
