"""What must hold after every transaction, whatever happened before it: the promises that everybody relies on."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from storage.contract import FailureReason, JobKind, adapter_key
from storage.erasure import DELETED_NAME
from storage.leftovers import STRUCK
from storage.outcomes import MAX_ATTEMPTS
from storage.schema import ACTIVE, DeliveryKind, DeliveryProblem, DeliveryState, Job, JobState, Model, ModelStatus
from tests.storage.life.outside import Outside, digest_of
from tests.storage.life.rows import Rows

STEPS = {
    JobState.ACCEPTED: {JobState.QUEUED, JobState.RUNNING},
    JobState.QUEUED: {JobState.ACCEPTED, JobState.RUNNING},
    JobState.RUNNING: {JobState.ACCEPTED},
}
"""The ways that do not lead to an end. Every active job can end."""


@dataclass(frozen=True)
class Promise:
    owner: int
    kind: JobKind
    interaction: int
    model: str | None


@dataclass
class Promises:
    """What people were told, and what was applied, written down beside the database."""

    jobs: dict[str, Promise] = field(default_factory=dict)
    unwanted: set[str] = field(default_factory=set)
    """Jobs that somebody cancelled, or whose model its owner deleted."""
    deleted: set[str] = field(default_factory=set)
    applied: set[str] = field(default_factory=set)
    """The ids of all events that went through the inbox."""
    pruned: set[str] = field(default_factory=set)
    """Those among them that the inbox may have forgotten."""


def every_promise_is_a_row(rows: Rows, promises: Promises, outside: Outside) -> None:
    found = {job.id: Promise(job.owner_id, job.kind, job.interaction_id, job.model_id) for job in rows.jobs.values()}
    assert found == promises.jobs


def an_outcome_is_whole(rows: Rows, promises: Promises, outside: Outside) -> None:
    for job in rows.jobs.values():
        assert job.state.ended == (job.finished_at is not None)
        assert (job.failure is not None) == (job.state is JobState.FAILED)
        assert 1 <= job.attempt <= MAX_ATTEMPTS
        if job.state is JobState.CANCELLED:
            assert job.id in promises.unwanted, "a job that nobody cancelled"
        if job.failure is FailureReason.GAVE_UP:
            assert job.attempt == MAX_ATTEMPTS


def a_result_is_owed_once(rows: Rows, promises: Promises, outside: Outside) -> None:
    """A training's end is a message of its own; pictures, and what was cancelled, show in the card."""
    for job in rows.jobs.values():
        owed = job.kind is JobKind.TRAIN and job.state in {JobState.SUCCEEDED, JobState.FAILED}
        results = rows.deliveries_of(job.id, DeliveryKind.RESULT)
        assert len(results) == owed
        assert len(rows.deliveries_of(job.id, DeliveryKind.CARD)) == 1
        seen = outside.discord.standing(job.id, DeliveryKind.RESULT)
        assert len(seen) <= sum(2 if result.direct else 1 for result in results)


def a_clean_message_is_true(rows: Rows, promises: Promises, outside: Outside) -> None:
    for delivery in rows.deliveries.values():
        job = rows.jobs[delivery.job_id]
        assert (delivery.owner_id, delivery.channel_id) == (job.owner_id, job.channel_id)
        if delivery.state is DeliveryState.SENT:
            assert delivery.message_id is not None
            assert delivery.dirty or outside.discord.shown[delivery.message_id] == rows.shown(job.id)
        else:
            assert delivery.dirty == (delivery.state is DeliveryState.PENDING)
        if delivery.state is DeliveryState.UNDELIVERABLE:
            assert delivery.webhook_token is None
            assert delivery.problem is not None


def the_outbox_knows_every_attempt(rows: Rows, promises: Promises, outside: Outside) -> None:
    for job in rows.jobs.values():
        entries = {attempt: entry for (owner, attempt), entry in rows.outbox.items() if owner == job.id}
        assert set(entries) <= set(range(1, job.attempt + 1))
        if job.state.ended:
            assert not entries, "an ended job that still waits to be sent"
        else:
            present = entries[job.attempt]
            assert (present.sent_at is None) == (job.state is JobState.ACCEPTED)
            if job.model_id not in promises.deleted:  # else it only waits for its end, and is never sent again
                assert present.request == {**job.request, "attempt": job.attempt}


def the_inbox_holds_what_was_applied(rows: Rows, promises: Promises, outside: Outside) -> None:
    assert promises.applied - promises.pruned <= rows.inbox <= promises.applied


def a_model_follows_its_training(rows: Rows, promises: Promises, outside: Outside) -> None:
    for job in rows.jobs.values():
        if job.kind is not JobKind.TRAIN:
            continue
        model = rows.models[str(job.model_id)]
        assert model.owner_id == job.owner_id
        if model.deleted_at is None:
            assert model.status is _status(job.state)
        if model.status is ModelStatus.READY and model.deleted_at is None:
            _points_at_its_files(model, job, outside)
        else:
            assert (model.adapter_key, model.download_key, model.cover_key, model.shared_guild_id) == (None,) * 4


def quotas_equal_a_recount(rows: Rows, promises: Promises, outside: Outside) -> None:
    """A job costs nothing when we failed it, when it was cancelled before it began, and when nobody came to see it."""
    assert set(rows.charges) == set(rows.jobs)
    for job in rows.jobs.values():
        charge, card = rows.charges[job.id], rows.card(job.id)
        assert (charge.owner_id, charge.kind, charge.amount) == (job.owner_id, job.kind, 1)
        failed = job.state is JobState.FAILED and job.failure is not FailureReason.UNSAFE
        unbegun = job.state is JobState.CANCELLED and job.started_at is None
        drawn = job.state is JobState.SUCCEEDED and job.kind is JobKind.IMAGINE
        unseen = card.state is DeliveryState.UNDELIVERABLE and card.problem is not DeliveryProblem.CLOSED
        assert (charge.refunded_at is not None) == (failed or unbegun or (drawn and unseen))


def names_are_unique(rows: Rows, promises: Promises, outside: Outside) -> None:
    models = [model for model in rows.models.values() if model.deleted_at is None]
    names = Counter((model.owner_id, model.name.casefold()) for model in models)
    assert max(names.values(), default=1) == 1


def a_person_trains_one_model_at_a_time(rows: Rows, promises: Promises, outside: Outside) -> None:
    active = [job.owner_id for job in rows.jobs.values() if job.kind is JobKind.TRAIN and not job.state.ended]
    assert len(set(active)) == len(active)


def the_deleted_is_forgotten(rows: Rows, promises: Promises, outside: Outside) -> None:
    for model_id in promises.deleted:
        model = rows.models[model_id]
        assert model.deleted_at is not None
        assert (model.name, model.name_key) == (DELETED_NAME, "")
        assert not [photo for photo in rows.photos if photo.model_id == model_id]
        assert not [image for image in rows.images if image.model_id == model_id]
        assert not [variant for variant in rows.variants if variant.model_id == model_id]
        for job in rows.jobs.values():
            if job.model_id == model_id:
                assert job.sample_key is job.prompt_shown is None
                assert job.request.get("prompt", STRUCK) == STRUCK


def files_belong_to_their_job(rows: Rows, promises: Promises, outside: Outside) -> None:
    for photo in rows.photos:
        taken_in_by = rows.jobs[photo.key.split("/")[1]]
        assert taken_in_by.id == photo.job_id or taken_in_by.failure is FailureReason.CLASS_DOUBTFUL
        assert taken_in_by.owner_id == rows.jobs[photo.job_id].owner_id
        assert rows.jobs[photo.job_id].model_id == photo.model_id
    for image in rows.images:
        assert image.job_id in image.key
        assert rows.jobs[image.job_id].state is JobState.SUCCEEDED
        assert (image.owner_id, image.model_id) == (
            rows.jobs[image.job_id].owner_id,
            rows.jobs[image.job_id].model_id,
        )
    for job in rows.jobs.values():
        assert job.sample_key is None or (job.id in job.sample_key and not job.state.ended)


def every_row_has_its_bytes(rows: Rows, promises: Promises, outside: Outside) -> None:
    photos = {photo.key for photo in rows.photos if rows.jobs[photo.job_id].state.ended}
    assert set(rows.keys()) - photos <= outside.blobs  # the photos of an ended training go before their rows do


ALWAYS: tuple[Callable[[Rows, Promises, Outside], None], ...] = (
    every_promise_is_a_row,
    an_outcome_is_whole,
    a_result_is_owed_once,
    a_clean_message_is_true,
    the_outbox_knows_every_attempt,
    the_inbox_holds_what_was_applied,
    a_model_follows_its_training,
    quotas_equal_a_recount,
    names_are_unique,
    a_person_trains_one_model_at_a_time,
    the_deleted_is_forgotten,
    files_belong_to_their_job,
    every_row_has_its_bytes,
)


def check_change(before: Rows, after: Rows) -> None:
    """Check that a transaction took every job and delivery one lawful step, if any."""
    for job_id, old in before.jobs.items():
        new = after.jobs[job_id]
        if old.state.ended:
            facts = "state", "failure", "attempt", "last_seq", "step", "seconds", "finished_at", "cancel_requested_at"
            assert [getattr(old, fact) for fact in facts] == [getattr(new, fact) for fact in facts]
            continue
        assert new.attempt in {old.attempt, old.attempt + 1}
        if new.attempt > old.attempt:
            assert new.state is JobState.ACCEPTED
            assert new.cancel_requested_at is None
        elif new.state is not old.state and not new.state.ended:
            assert new.state in STEPS[old.state]
            assert (old.state, new.state) != (JobState.RUNNING, JobState.ACCEPTED), "two lives of one attempt"
        if new.attempt == old.attempt:
            assert new.last_seq >= old.last_seq
    for delivery_id, was in before.deliveries.items():
        now = after.deliveries[delivery_id]
        assert now.revision >= was.revision
        if was.state is DeliveryState.UNDELIVERABLE:
            assert now.state is DeliveryState.UNDELIVERABLE
        elif was.state is DeliveryState.SENT and now.state is DeliveryState.PENDING:
            assert now.direct, "a message sent twice"


def all_is_done(rows: Rows, outside: Outside) -> None:
    """Check that nobody waits for anything: no job, no message, no release, and no byte without a row."""
    assert not [job.id for job in rows.jobs.values() if job.state in ACTIVE]
    assert not rows.outbox
    for delivery in rows.deliveries.values():
        assert delivery.state is not DeliveryState.PENDING
        assert not delivery.dirty
        assert delivery.webhook_token is None
    drafts = {photo["key"] for draft in rows.drafts.values() for photo in draft.training["photos"]}
    assert outside.blobs == set(rows.keys()) | drafts
    assert not rows.photos


def _points_at_its_files(model: Model, job: Job, outside: Outside) -> None:
    assert model.adapter_key == adapter_key(model.id, job.id, job.attempt)
    assert model.adapter_digest == digest_of(job.id, job.attempt)
    assert {model.adapter_key, model.download_key, model.cover_key} <= outside.blobs


def _status(state: JobState) -> ModelStatus:
    match state:
        case JobState.SUCCEEDED:
            return ModelStatus.READY
        case JobState.FAILED:
            return ModelStatus.FAILED
        case _:
            return ModelStatus.TRAINING
