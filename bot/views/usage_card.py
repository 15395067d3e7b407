"""What `/usage` shows: what is left of today, what the last month took, and what the next thing will."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import discord
from discord import ui

from bot.cost_text import duration, gpu_time
from bot.language import Plural, _, number
from bot.quota_text import AMOUNTS, FREE
from bot.views.job_list import Usage
from storage.contract import JobKind
from storage.usage import MONTH, Used

OF_LIMIT = {
    JobKind.IMAGINE: Plural("{used} of {count} picture", "{used} of {count} pictures"),
    JobKind.TRAIN: Plural("{used} of {count} training", "{used} of {count} trainings"),
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    today: Mapping[JobKind, Usage]
    month: Used
    training_seconds: float
    """What a training of good quality is expected to take of the GPU."""
    picture_seconds: float | None
    """What a picture took lately; None before there was one."""
    price_per_hour: float = 0
    currency: str = ""


def render(facts: Facts) -> ui.LayoutView:
    price = facts.price_per_hour, facts.currency
    today = [_("### What you have used"), _("**In 24 hours**")]
    for kind, usage in facts.today.items():
        if usage.limit is None:
            today.append(f"- {AMOUNTS[kind].format(usage.used)}")
        else:
            today.append(f"- {OF_LIMIT[kind].format(usage.limit, used=number(usage.used))}")
    used = facts.month
    month = [_("**In {days} days**").format(days=MONTH.days)]
    if used.trainings or used.pictures:
        made = _("- {trainings} and {pictures}: {gpu}").format(
            trainings=AMOUNTS[JobKind.TRAIN].format(used.trainings),
            pictures=AMOUNTS[JobKind.IMAGINE].format(used.pictures),
            gpu=gpu_time(used.all_seconds, *price),
        )
        month.append(made)
    else:
        month.append(_("- nothing yet"))
    training = _("- a training: about {time}, {gpu}").format(
        time=duration(facts.training_seconds), gpu=gpu_time(facts.training_seconds, *price)
    )
    takes = [_("**What things take**"), training]
    if facts.picture_seconds is not None:
        takes.append(_("- a picture: {gpu}").format(gpu=gpu_time(facts.picture_seconds, *price)))
    card = ui.Container[Any](accent_colour=discord.Colour.blurple())
    for lines in (today, month, takes, [f"-# {FREE}"]):  # apart, for a line after a list would join it
        card.add_item(ui.TextDisplay("\n".join(lines)))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return view
