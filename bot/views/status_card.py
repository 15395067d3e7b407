"""How the bot and its workers stand, for whoever looks after them."""

from collections.abc import Iterator, Sequence

import discord
from discord import ui

from bot.admin_text import standing_of_pause
from bot.text import KINDS_OF_JOBS, NO_WORKERS, WORKER_STARTS, WORKERS_UNKNOWN, plain
from storage.schema import Pause
from storage.standing import Standing
from storage.worker_status import EngineStatus, WorkerStatus

MOST_WORKERS = 15
MOST_QUEUES = 5


def render(
    jobs: Sequence[Standing], workers: Sequence[WorkerStatus] | None, pause: Pause | None = None
) -> ui.LayoutView:
    """`workers` is None where Redis cannot be asked."""
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.blurple())
    lines = [f"{KINDS_OF_JOBS[each.kind]}: {each.under_way} under way, {each.waiting} waiting" for each in jobs]
    card.add_item(ui.TextDisplay("\n".join(["### How it stands", *lines])))
    if pause is not None:
        card.add_item(ui.TextDisplay(standing_of_pause(pause)))
    card.add_item(ui.Separator())
    if not workers:
        card.add_item(ui.TextDisplay(WORKERS_UNKNOWN if workers is None else NO_WORKERS))
    for worker in (workers or ())[:MOST_WORKERS]:
        card.add_item(ui.TextDisplay("\n".join(_lines(worker))))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return view


def _lines(worker: WorkerStatus) -> Iterator[str]:
    yield f"**{plain(worker.worker)}** · base {plain(worker.base)}"
    yield f"- jobs: {worker.train_jobs} trainings, {worker.imagine_jobs} requests for pictures"
    if worker.engine is None:
        yield f"- {WORKER_STARTS}"
        return
    yield from (f"- {fact}" for fact in _facts(worker.engine))


def _facts(engine: EngineStatus) -> Iterator[str]:
    yield f"{plain(engine.device)}: {engine.memory_used_mb / 1024:.1f} of {engine.memory_total_mb / 1024:.1f} GB memory"
    yield f"models in slots: {engine.slots_used} of {engine.slots}, {engine.slots_held} drawing"
    yield f"training at once: {engine.training} of {engine.training_slots}, {engine.trainings_waiting} waiting"
    fill = "" if engine.batch_fill is None else f", batches {engine.batch_fill:.0%} full"
    yield f"steps a second: {engine.picture_steps_s:.1f} of pictures, {engine.train_steps_s:.1f} of trainings{fill}"
    if engine.queue:
        longest = ", ".join(map(str, engine.queue[:MOST_QUEUES])) + (", …" if len(engine.queue) > MOST_QUEUES else "")
        yield f"pictures: {engine.pictures}, of {len(engine.queue)} people ({longest})"
