"""Ways to break the storage code on purpose, to see that the play in `tests.storage.life` would notice."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import dedent
from typing import Any

import pytest

from storage import (
    class_questions,
    database,
    deliveries,
    erasure,
    events,
    imaginings,
    jobs,
    leftovers,
    model_names,
    outbox,
    outcomes,
    promises,
    quotas,
)


@dataclass(frozen=True)
class Sabotage:
    """A function in which some text is replaced; the function has to hold the text once."""

    function: Callable[..., Any]
    old: str
    new: str = ""

    def commit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        source = dedent(inspect.getsource(self.function))
        assert source.count(self.old) == 1, f"{self.function.__name__} no longer says: {self.old}"
        name, made = self.function.__name__, dict[str, Any]()
        exec(source.replace(self.old, self.new), self.function.__globals__, made)
        for module in list(sys.modules.values()):
            ours = module.__name__.startswith(("storage.", "tests.storage.life."))
            if ours and getattr(module, name, None) is self.function:
                monkeypatch.setattr(module, name, made[name])


SABOTAGES: dict[str, Sabotage] = {
    "late attempts speak": Sabotage(events.apply_event, "event.attempt != job.attempt or "),
    "events overtake each other": Sabotage(events.apply_event, " or event.seq <= job.last_seq"),
    "events lie": Sabotage(events.apply_event, "if not _plausible(job, event):", "if False:"),
    "a deleted model comes back": Sabotage(
        events._finish, "(model.deleted_at is not None or model.status is ModelStatus.TAKEN_DOWN)", "False"
    ),
    "a job ends twice": Sabotage(outcomes.end_job, "if job.state.ended:", "if False:"),
    "an attempt is never sent": Sabotage(outcomes.retry_job, "session.add(next_release(job, at))", "pass"),
    "attempts go on for ever": Sabotage(outcomes.retry_job, "job.attempt >= MAX_ATTEMPTS", "False"),
    "a cancelled job is tried again": Sabotage(outcomes.retry_job, "job.cancel_requested_at is not None", "False"),
    "a result is not owed": Sabotage(outcomes.end_job, "session.add(_result_message(job, at))", "pass"),
    "a card is not touched": Sabotage(outcomes.end_job, "await touch_card(session, job.id, at, at_once=True)", "pass"),
    "the forgotten stays forgotten": Sabotage(outbox.release_again, ".one().sent_at = None", ".one()"),
    "anybody may cancel": Sabotage(jobs.request_cancel, " or job.owner_id != asker_id"),
    "anybody's model may draw": Sabotage(
        imaginings._adapter,
        "find_model(session, model_id, new.owner_id, new.guild_id, new.roles)",
        "session.get_one(Model, model_id)",
    ),
    "a click counts twice": Sabotage(
        imaginings.accept_imagining,
        "if (known := await job_of_interaction(session, new.interaction_id)) is not None:",
        "if known := None:",
    ),
    "names are taken twice": Sabotage(model_names.free_name, "await check_name_free(session, owner_id, name)", "pass"),
    "photos outlive their model": Sabotage(erasure.delete_model, "(Photo, Image)", "(Image,)"),
    "variants outlive their model": Sabotage(
        erasure.delete_model, "keys += await delete_variants(session, model.id)", "pass"
    ),
    "a question is answered twice": Sabotage(
        class_questions.train_after_all, "await session.execute(delete(Photo).where(Photo.job_id == job.id))", "pass"
    ),
    "a stale card counts as shown": Sabotage(deliveries.mark_sent, "delivery.revision != revision or "),
    "people are written to unasked": Sabotage(
        deliveries._may_go_directly, "return await wants_direct_messages(session, delivery.owner_id)", "return True"
    ),
    "a given up message is due": Sabotage(deliveries.mark_undeliverable, "delivery.dirty = False", "pass"),
    "the sweep takes what is needed": Sabotage(leftovers.unreferenced, ' and needed.isdisjoint(key.split("/"))'),
    "the sweep spares orphans": Sabotage(leftovers.unreferenced, "key not in known and ", "False and "),
    "our failures cost": Sabotage(quotas.settle, "if gives_back(job, problem):", "if False:"),
    "jobs are not charged": Sabotage(promises.add_job, "charge(session, job, at)", "pass"),
    "transactions do not hold together": Sabotage(database._sqlite_writer, "BEGIN IMMEDIATE", "SELECT 1"),
}

QUICKLY_FOUND = (
    "events lie",
    "jobs are not charged",
    "a result is not owed",
    "our failures cost",
    "transactions do not hold together",
)
