"""What `/usage` shows: what is left of today, what the last month took, and what the next thing will."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import discord
from discord import ui

from bot.text import FREE, duration, gpu_time
from bot.views.job_list import Usage
from storage.contract import JobKind
from storage.usage import MONTH, Used

WORDS = {JobKind.IMAGINE: ("picture", "pictures"), JobKind.TRAIN: ("training", "trainings")}


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
    today = ["### What you have used", "**In 24 hours**"]
    for kind, usage in facts.today.items():
        one, many = WORDS[kind]
        limit = "" if usage.limit is None else f" of {usage.limit}"
        today.append(f"- {usage.used}{limit} {one if usage.used == 1 and not limit else many}")
    used = facts.month
    month = [f"**In {MONTH.days} days**"]
    if used.trainings or used.pictures:
        what = f"{_count(used.trainings, JobKind.TRAIN)} and {_count(used.pictures, JobKind.IMAGINE)}"
        month.append(f"- {what}: {gpu_time(used.all_seconds, *price)}")
    else:
        month.append("- nothing yet")
    takes = ["**What things take**"]
    takes.append(f"- a training: about {duration(facts.training_seconds)}, {gpu_time(facts.training_seconds, *price)}")
    if facts.picture_seconds is not None:
        takes.append(f"- a picture: {gpu_time(facts.picture_seconds, *price)}")
    card = ui.Container[Any](accent_colour=discord.Colour.blurple())
    for lines in (today, month, takes, [f"-# {FREE}"]):  # apart, for a line after a list would join it
        card.add_item(ui.TextDisplay("\n".join(lines)))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return view


def _count(count: int, kind: JobKind) -> str:
    one, many = WORDS[kind]
    return f"{count:,} {one if count == 1 else many}"
