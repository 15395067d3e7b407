"""A training as people see it: one card that lives through the job, and the message at its end."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import discord
from discord import ui

from bot.cost_text import duration
from bot.job_text import in_line, too_late, why_failed
from bot.language import N_, _, ngettext
from bot.markup import bold, plain
from bot.result_text import QUESTION_CLOSED, doubt, draw_it, variant_used, verdict
from bot.views.cancel_button import CancelButton
from bot.views.rendered import Rendered
from storage.contract import FailureReason, Quality, Stage, SubjectKind
from storage.schema import ACTIVE, WAITING, Job, JobState, Model

BAR_CELLS = 20
SPARKS = "▁▂▃▄▅▆▇█"
SPARK_CHARS = 20
LARGEST_LOSS = 1e9
ALT_CHARS = 256

STAGES = {
    Stage.PREPARING: N_("Looking at the photos"),
    Stage.CLASS_IMAGES: N_("Drawing ordinary examples to compare with"),
    Stage.TRAINING: N_("Learning"),
    Stage.CHOOSING: N_("Choosing the best moment"),
    Stage.SAVING: N_("Saving"),
}
KINDS = {
    SubjectKind.PET: N_("pet"),
    SubjectKind.PERSON: N_("person"),
    SubjectKind.OBJECT: N_("object"),
    SubjectKind.STYLE: N_("style"),
}
QUALITIES = {
    Quality.FAST: N_("fast quality"),
    Quality.GOOD: N_("good quality"),
    Quality.BEST: N_("best quality"),
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
        card.add_item(ui.MediaGallery(_item(sample, _("What the model draws at step {step}").format(step=job.step))))
        files.append(sample)
    if job.state in ACTIVE and job.cancel_requested_at is None:
        card.add_item(ui.ActionRow(CancelButton(job.id)))
    return Rendered(_layout(card), files)


def render_result(
    job: Job,
    model: Model,
    samples: Sequence[discord.File],
    rows: Sequence[ui.ActionRow[Any]] = (),
    *,
    version: int = 1,
) -> Rendered:
    """Tell the owner how their training ended; the only message of a training that mentions anybody."""
    whose = {"owner": job.owner_id, "name": bold(model.name)}
    if job.failure is FailureReason.CLASS_DOUBTFUL:
        lines = [_("<@{owner}>, my question about {name} is closed.").format(**whose), str(QUESTION_CLOSED)]
        return Rendered(_layout(_container(job, "\n".join(lines), discord.Colour.light_grey())))
    if job.state is JobState.FAILED:
        lines = [_("<@{owner}>, I could not learn {name}.").format(**whose), why_failed(job.failure)]
        return Rendered(_layout(_container(job, "\n".join(lines))))
    lines = [_("<@{owner}>, {name} is ready.").format(**whose), verdict(model), variant_used(model.variant, model.name)]
    if version > 1:
        lines.append(_("This is version {version}. `/models` goes back to an earlier one.").format(version=version))
    card = _container(job, "\n".join(filter(None, lines)))
    if samples:
        alt = _("{name}, drawn by the new model").format(name=model.name)
        card.add_item(ui.MediaGallery(*(_item(file, alt) for file in samples)))
    card.add_item(ui.TextDisplay(draw_it(model.name)))
    for row in rows:
        card.add_item(row)
    return Rendered(_layout(card), list(samples))


def render_question(job: Job, model: Model, answers: ui.ActionRow[Any]) -> Rendered:
    """Ask the owner whether their photos show what they call them; mentions them as a result does."""
    asked = _("<@{owner}>, a question before I learn {name}.").format(owner=job.owner_id, name=bold(model.name))
    lines = [asked, doubt(model, job.seen_class or "")]
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
        return [_("Stopping…")]
    if job.state in WAITING:
        return _waiting(job, place, worker_alive)
    return _progress(job)


def _ending(job: Job) -> str:
    match job.state:
        case JobState.SUCCEEDED:
            return learned(job)
        case JobState.CANCELLED:
            return _("Cancelled.")
        case _ if job.failure is FailureReason.CLASS_DOUBTFUL:
            return why_failed(job.failure)
        case _:
            return failed(job)


def learned(job: Job) -> str:
    took = _("Learned in {time}.").format(time=duration(job.seconds)) if job.seconds else _("Learned.")
    return took + too_late(job)


def failed(job: Job) -> str:
    return _("It did not work out. {why}").format(why=why_failed(job.failure))


def _waiting(job: Job, place: int, worker_alive: bool) -> list[str]:
    again = [_("The worker was lost; another goes on with it.")] if job.attempt > 1 else []
    return [*again, in_line(place, worker_alive=worker_alive)]


def _progress(job: Job) -> list[str]:
    lines = [str(STAGES[job.stage or Stage.PREPARING])]
    if job.steps:
        facts = [_("step {step} of {steps}").format(step=job.step, steps=job.steps)]
        if job.seconds_left is not None:
            facts.append(_("about {time} left").format(time=duration(job.seconds_left)))
        lines.append(f"{bar(job.step, job.steps)} {' · '.join(facts)}")
    if len(job.losses) > 1:
        lines.append(_("loss {curve} {last}").format(curve=sparkline(job.losses), last=f"{job.losses[-1]:.3g}"))
    return lines


def _facts(job: Job, model: Model) -> str:
    facts = [
        ngettext("{count} photo", "{count} photos", model.photo_count),
        str(KINDS[model.subject_kind]),
        str(QUALITIES[Quality(job.request["quality"])]),
        asked_by(job),
    ]
    return f"-# {' · '.join(facts)}"


def asked_by(job: Job) -> str:
    return _("asked by <@{person}>").format(person=job.owner_id)


def _container(job: Job, words: str, colour: discord.Colour | None = None) -> ui.Container[ui.LayoutView]:
    colour = colour or COLOURS.get(job.state, discord.Colour.blurple())
    return ui.Container(ui.TextDisplay(words), accent_colour=colour)


def _layout(card: ui.Container[ui.LayoutView]) -> ui.LayoutView:
    layout = ui.LayoutView(timeout=None)
    layout.add_item(card)
    return layout


def _item(file: discord.File, description: str) -> discord.MediaGalleryItem:
    return discord.MediaGalleryItem(file, description=description[:ALT_CHARS])
