"""What `/usage` shows: what is left of today, what the last month took, and what the next thing will."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import discord
from discord import ui

from bot.text import duration, gpu_time
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
    lines = ["### What you have used", "**In 24 hours**"]
    for kind, usage in facts.today.items():
        one, many = WORDS[kind]
        limit = f" of {usage.limit}" if usage.limit else ""
        lines.append(f"- {usage.used}{limit} {one if usage.used == 1 and not limit else many}")
    month = facts.month
    lines.append(f"**In {MONTH.days} days**")
    if month.trainings or month.pictures:
        what = f"{_count(month.trainings, JobKind.TRAIN)} and {_count(month.pictures, JobKind.IMAGINE)}"
        lines.append(f"- {what}: {gpu_time(month.all_seconds, *price)}")
    else:
        lines.append("- nothing yet")
    lines.append("**What things take**")
    lines.append(f"- a training: about {duration(facts.training_seconds)}, {gpu_time(facts.training_seconds, *price)}")
    if facts.picture_seconds is not None:
        lines.append(f"- a picture: {gpu_time(facts.picture_seconds, *price)}")
    lines.append("-# What fails through no fault of yours costs nothing, and neither does what you cancel in time.")
    card = ui.Container[Any](ui.TextDisplay("\n".join(lines)), accent_colour=discord.Colour.blurple())
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return view


def _count(count: int, kind: JobKind) -> str:
    one, many = WORDS[kind]
    return f"{count:,} {one if count == 1 else many}"
