"""How the bot and its workers stand, for whoever looks after them."""

from collections.abc import Iterator, Sequence

import discord
from discord import ui

from bot.admin_text import standing_of_pause
from bot.job_text import NO_WORKERS, WORKER_STARTS, WORKERS_UNKNOWN
from bot.language import N_, _, ngettext, number
from bot.markup import plain
from bot.quota_text import AMOUNTS
from storage.contract import JobKind
from storage.schema import Pause
from storage.standing import Standing
from storage.worker_status import EngineStatus, WorkerStatus

MOST_WORKERS = 15
MOST_QUEUES = 5
STANDINGS = {
    JobKind.TRAIN: N_("Trainings: {under_way} under way, {waiting} waiting"),
    JobKind.IMAGINE: N_("Pictures: {under_way} under way, {waiting} waiting"),
}


def render(
    jobs: Sequence[Standing], workers: Sequence[WorkerStatus] | None, pause: Pause | None = None
) -> ui.LayoutView:
    """`workers` is None where Redis cannot be asked."""
    card = ui.Container[ui.LayoutView](accent_colour=discord.Colour.blurple())
    lines = [STANDINGS[each.kind].format(under_way=each.under_way, waiting=each.waiting) for each in jobs]
    card.add_item(ui.TextDisplay("\n".join([_("### How it stands"), *lines])))
    if pause is not None:
        card.add_item(ui.TextDisplay(standing_of_pause(pause)))
    card.add_item(ui.Separator())
    if not workers:
        card.add_item(ui.TextDisplay(str(WORKERS_UNKNOWN if workers is None else NO_WORKERS)))
    for worker in (workers or ())[:MOST_WORKERS]:
        card.add_item(ui.TextDisplay("\n".join(_lines(worker))))
    view = ui.LayoutView(timeout=None)
    view.add_item(card)
    return view


def _lines(worker: WorkerStatus) -> Iterator[str]:
    yield _("**{worker}** · base {base}").format(worker=plain(worker.worker), base=plain(worker.base))
    facts = [_jobs(worker), *(_facts(worker.engine) if worker.engine is not None else [str(WORKER_STARTS)])]
    yield from (f"- {fact}" for fact in facts)


def _jobs(worker: WorkerStatus) -> str:
    trainings = AMOUNTS[JobKind.TRAIN].format(worker.train_jobs)
    requests = ngettext("{count} request for pictures", "{count} requests for pictures", worker.imagine_jobs)
    return _("jobs: {trainings}, {requests}").format(trainings=trainings, requests=requests)


def _facts(engine: EngineStatus) -> Iterator[str]:
    yield _("{device}: {used} of {total} GB memory").format(
        device=plain(engine.device),
        used=number(engine.memory_used_mb / 1024, 1),
        total=number(engine.memory_total_mb / 1024, 1),
    )
    yield _("models in slots: {used} of {slots}, {held} drawing").format(
        used=engine.slots_used, slots=engine.slots, held=engine.slots_held
    )
    yield _("training at once: {training} of {slots}, {waiting} waiting").format(
        training=engine.training, slots=engine.training_slots, waiting=engine.trainings_waiting
    )
    speed = {"pictures": number(engine.picture_steps_s, 1), "trainings": number(engine.train_steps_s, 1)}
    if engine.batch_fill is None:
        yield _("steps a second: {pictures} of pictures, {trainings} of trainings").format(**speed)
    else:
        yield _("steps a second: {pictures} of pictures, {trainings} of trainings, batches {full} full").format(
            **speed, full=f"{engine.batch_fill:.0%}"
        )
    if engine.queue:
        longest = ", ".join(map(str, engine.queue[:MOST_QUEUES])) + (", …" if len(engine.queue) > MOST_QUEUES else "")
        yield ngettext(
            "pictures: {pictures}, of one person ({longest})",
            "pictures: {pictures}, of {count} people ({longest})",
            len(engine.queue),
        ).format(pictures=engine.pictures, longest=longest)
