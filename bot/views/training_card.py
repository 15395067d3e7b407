"""A training as people see it: one card that lives through the job, and the message at its end."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import discord
from discord import ui

from bot.result_text import QUESTION_CLOSED, doubt, variant_used, verdict
from bot.text import bold, duration, in_line, plain, too_late, why_failed
from bot.views.cancel_button import CancelButton
from bot.views.rendered import Rendered
from storage.contract import FailureReason, Quality, Stage
from storage.schema import ACTIVE, WAITING, Job, JobState, Model

BAR_CELLS = 20
SPARKS = "▁▂▃▄▅▆▇█"
SPARK_CHARS = 20
LARGEST_LOSS = 1e9
ALT_CHARS = 256

STAGES = {
    Stage.PREPARING: "Looking at the photos",
    Stage.CLASS_IMAGES: "Drawing ordinary examples to compare with",
    Stage.TRAINING: "Learning",
    Stage.CHOOSING: "Choosing the best moment",
    Stage.SAVING: "Saving",
}
COLOURS = {
    JobState.SUCCEEDED: discord.Colour.green(),
    JobState.FAILED: discord.Colour.red(),
    JobState.CANCELLED: discord.Colour.light_grey(),
}


def render(
    job: Job, model: Model, *, place: int = 0, worker_alive: bool = True, sample: discord.File | None = None
) -> Rendered:
    """Show a job as it stands. `place` counts from 1 while it waits; `sample` is its newest picture."""
    words = [
        f"### {plain(model.name)} · {plain(model.class_noun)}",
        *_state(job, place, worker_alive),
        _facts(job, model),
    ]
    card = _container(job, "\n".join(words))
    files = []
    if sample is not None and job.state in ACTIVE:
        card.add_item(ui.MediaGallery(_item(sample, f"What the model draws at step {job.step}")))
        files.append(sample)
    if job.state in ACTIVE and job.cancel_requested_at is None:
        card.add_item(ui.ActionRow(CancelButton(job.id)))
    return Rendered(_layout(card), files)


def render_result(
    job: Job, model: Model, samples: Sequence[discord.File], rows: Sequence[ui.ActionRow[Any]] = ()
) -> Rendered:
    """Tell the owner how their training ended; the only message of a training that mentions anybody."""
    if job.failure is FailureReason.CLASS_DOUBTFUL:
        lines = [f"<@{job.owner_id}>, my question about {bold(model.name)} is closed.", QUESTION_CLOSED]
        return Rendered(_layout(_container(job, "\n".join(lines), discord.Colour.light_grey())))
    if job.state is JobState.FAILED:
        lines = [f"<@{job.owner_id}>, I could not learn {bold(model.name)}.", why_failed(job.failure)]
        return Rendered(_layout(_container(job, "\n".join(lines))))
    ready = f"<@{job.owner_id}>, {bold(model.name)} is ready."
    lines = [ready, verdict(model), variant_used(model.variant, model.name)]
    card = _container(job, "\n".join(filter(None, lines)))
    if samples:
        card.add_item(ui.MediaGallery(*(_item(file, f"{model.name}, drawn by the new model") for file in samples)))
    card.add_item(ui.TextDisplay(f'Draw it anywhere: `/imagine prompt:"{model.name} on the moon"`'))
    for row in rows:
        card.add_item(row)
    return Rendered(_layout(card), list(samples))


def render_question(job: Job, model: Model, answers: ui.ActionRow[Any]) -> Rendered:
    """Ask the owner whether their photos show what they call them; mentions them as a result does."""
    lines = [f"<@{job.owner_id}>, a question before I learn {bold(model.name)}.", doubt(model, job.seen_class or "")]
    card = _container(job, "\n".join(lines), discord.Colour.gold())
    card.add_item(answers)
    return Rendered(_layout(card))


def bar(step: int, steps: int) -> str:
    filled = min(BAR_CELLS, BAR_CELLS * step // max(steps, 1))
    return "▰" * filled + "▱" * (BAR_CELLS - filled)


def sparkline(losses: Sequence[float]) -> str:
    """Draw a curve in one line of text, its newest part last."""
    losses = [max(-LARGEST_LOSS, min(LARGEST_LOSS, loss)) for loss in losses]
    if len(losses) > SPARK_CHARS:
        edges = [len(losses) * i // SPARK_CHARS for i in range(SPARK_CHARS + 1)]
        losses = [sum(losses[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(losses), max(losses)
    span = (high - low) or 1
    return "".join(SPARKS[round((loss - low) / span * (len(SPARKS) - 1))] for loss in losses)


def _state(job: Job, place: int, worker_alive: bool) -> list[str]:
    if job.state.ended:
        return [_ending(job)]
    if job.cancel_requested_at is not None:
        return ["Stopping…"]
    if job.state in WAITING:
        return _waiting(job, place, worker_alive)
    return _progress(job)


def _ending(job: Job) -> str:
    match job.state:
        case JobState.SUCCEEDED:
            took = f" in {duration(job.seconds)}" if job.seconds else ""
            return f"Learned{took}.{too_late(job)}"
        case JobState.CANCELLED:
            return "Cancelled."
        case _ if job.failure is FailureReason.CLASS_DOUBTFUL:
            return why_failed(job.failure)
        case _:
            return f"It did not work out. {why_failed(job.failure)}"


def _waiting(job: Job, place: int, worker_alive: bool) -> list[str]:
    again = ["The worker was lost; another goes on with it."] if job.attempt > 1 else []
    return [*again, in_line(place, worker_alive=worker_alive)]


def _progress(job: Job) -> list[str]:
    lines = [STAGES[job.stage or Stage.PREPARING]]
    if job.steps:
        lines.append(f"{bar(job.step, job.steps)} step {job.step} of {job.steps}{_left(job.seconds_left)}")
    if len(job.losses) > 1:
        lines.append(f"loss {sparkline(job.losses)} {job.losses[-1]:.3g}")
    return lines


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f" · about {duration(seconds)} left"


def _facts(job: Job, model: Model) -> str:
    quality = Quality(job.request["quality"])
    return f"-# {model.photo_count} photos · {model.subject_kind} · {quality} quality · asked by <@{job.owner_id}>"


def _container(job: Job, words: str, colour: discord.Colour | None = None) -> ui.Container[ui.LayoutView]:
    colour = colour or COLOURS.get(job.state, discord.Colour.blurple())
    return ui.Container(ui.TextDisplay(words), accent_colour=colour)


def _layout(card: ui.Container[ui.LayoutView]) -> ui.LayoutView:
    layout = ui.LayoutView(timeout=None)
    layout.add_item(card)
    return layout


def _item(file: discord.File, description: str) -> discord.MediaGalleryItem:
    return discord.MediaGalleryItem(file, description=description[:ALT_CHARS])
