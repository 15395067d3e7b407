"""Promises broken on purpose, each by replacing one function: a harness that does not notice is worth nothing."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sabotage:
    role: str
    """The process that it is done to."""
    breaks: Callable[[], None]
    point: str
    """Where a fault brings it to light, and which."""
    action: str
    hit: int = 1


def apply(name: str, role: str) -> None:
    """Break what `name` says, if this is the process for it."""
    if name and SABOTAGES[name].role == role:
        SABOTAGES[name].breaks()


def send_without_nonce() -> None:
    import discord

    send = discord.abc.Messageable.send

    async def send_as_new(self: discord.abc.Messageable, *arguments: object, **options: object) -> object:
        options.pop("nonce", None)
        return await send(self, *arguments, **options)  # type: ignore[call-overload]

    discord.abc.Messageable.send = send_as_new  # type: ignore[method-assign, assignment]


def never_reconcile() -> None:
    from bot.reconcile import Reconciler

    async def look_away(_: Reconciler) -> None:
        return

    Reconciler.look = look_away  # type: ignore[method-assign, assignment]


def checkpoint_in_place() -> None:
    from gpu_worker import transfer
    from gpu_worker.pipe import Checkpointed
    from storage.blobs import Blobs
    from storage.contract import checkpoint_key
    from storage.faults import reach

    async def write_over_the_last_one(blobs: Blobs, request: transfer.Request, report: Checkpointed) -> str:
        key, whole = checkpoint_key(request.job, request.attempt, 0), report.path.read_bytes()
        await blobs.put(key, whole[: len(whole) // 2])
        reach("checkpoint.stored")
        await blobs.put(key, whole)
        manifest = transfer.CheckpointManifest(digest=report.digest)
        await blobs.put(transfer._manifest_key(key), manifest.model_dump_json().encode())
        return key

    transfer.store_checkpoint = write_over_the_last_one


def believe_late_workers() -> None:
    from bot import events
    from storage.contract import AnyEvent
    from storage.schema import Job

    apply_event = events.apply_event  # type: ignore[attr-defined]

    async def apply_any(session: object, event: AnyEvent, at: object) -> object:
        job = await session.get(Job, event.job)  # type: ignore[attr-defined]
        if job is not None:
            event = event.model_copy(update={"attempt": job.attempt, "seq": max(event.seq, job.last_seq + 1)})
        return await apply_event(session, event, at)  # type: ignore[arg-type]

    events.apply_event = apply_any  # type: ignore[attr-defined, assignment]


def note_before_sending() -> None:
    from bot.messages import Messages
    from storage.deliveries import mark_sent
    from storage.faults import reach
    from storage.schema import Delivery as Row

    send = Messages._send

    async def note_and_send(self: Messages, row: Row, *arguments: object, **options: object) -> object:
        services = self._services
        async with services.database.write() as session:
            await mark_sent(session, row.id, 1, row.revision, services.clock())
        reach("delivery.posted")
        return await send(self, row, *arguments, **options)  # type: ignore[arg-type]

    Messages._send = note_and_send  # type: ignore[method-assign, assignment]


SABOTAGES = {
    "no nonce": Sabotage(role="bot", breaks=send_without_nonce, point="delivery.posted", action="kill"),
    "no reconciler": Sabotage(role="bot", breaks=never_reconcile, point="attempt.claimed", action="kill"),
    "non-atomic checkpoint": Sabotage(
        role="worker", breaks=checkpoint_in_place, point="checkpoint.stored", action="kill", hit=2
    ),
    "no fence": Sabotage(role="bot", breaks=believe_late_workers, point="event.ending", action="stop"),
    "noted before sent": Sabotage(role="bot", breaks=note_before_sending, point="delivery.posted", action="kill"),
}
