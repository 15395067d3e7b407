"""No query that is asked often may read a whole table: with a year of rows that would hold up everybody."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.bin import binned_models, overdue_models
from storage.channels import check_open_channel
from storage.companions import lead_of
from storage.contract import JobKind
from storage.database import Database
from storage.deliveries import due_deliveries, find_delivery, touch_waiting_cards
from storage.erasure import delete_model
from storage.events import apply_event
from storage.gallery import Scope, Sort, page_of_models, search_models, uses_of
from storage.history import count_active_trainings, finished_trainings, list_jobs
from storage.imaginings import accept_imagining
from storage.jobs import active_jobs, pictures_of, queue_place
from storage.leftovers import awaited_photos, forget_prompts, prune_inbox, ready_models, unreferenced
from storage.limits import limit_of
from storage.models import find_model, own_models, suggest_models, usable_models
from storage.outbox import jobs_in_redis, jobs_to_cancel, next_releases
from storage.quotas import used
from storage.schema import Base, DeliveryKind, Job
from storage.statistics import last_days
from storage.trainings import accept_training
from storage.usage import used_since
from tests.storage.examples import ANN, GUILD, NOW, new_imagining, new_training, trained

WINDOWS = {JobKind.TRAIN: 8, JobKind.IMAGINE: 128}
LATER = NOW + timedelta(days=1)
NOBODY = "0" * 32
SMALL = {"ix_jobs_open"}
"""Indices that hold nothing of what has ended."""
OTHERS = """
    INSERT INTO owners (id, created_at, direct_messages)
    WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 3000)
    SELECT 1000000 + number, created_at, 0 FROM numbers JOIN owners
"""
THEIR_JOBS = """
    INSERT INTO jobs (id, interaction_id, state, finished_at, kind, owner_id, channel_id, base, request, created_at,
                      private, spoiler, attempt, last_seq, step, losses)
    SELECT printf('%032d', owners.id), -owners.id, 'succeeded', datetime(jobs.created_at, -owners.id || ' seconds'),
           kind, owners.id, channel_id, base, request, datetime(jobs.created_at, -owners.id || ' seconds'), private,
           spoiler, attempt, last_seq, step, losses
    FROM jobs JOIN owners ON owners.id > 1000000
"""
NOT_OF_MODELS = "DELETE FROM sqlite_stat1 WHERE idx = 'ix_jobs_model_id'"  # these jobs draw with none, unlike most
ANALYSE = ("ANALYZE jobs", NOT_OF_MODELS, "ANALYZE sqlite_schema")

Work = Callable[[AsyncSession], Awaitable[object]]


async def accept_and_place(session: AsyncSession) -> int:
    return await queue_place(session, await accept_imagining(session, new_imagining(), NOW, per_day=10))


async def train_and_delete(session: AsyncSession) -> object:
    job = await accept_training(session, new_training(), NOW, per_day=10)
    await apply_event(session, trained(job), NOW)
    await find_model(session, str(job.model_id), ANN, GUILD)
    return await delete_model(session, str(job.model_id), ANN, NOW)


async def page_of_gallery(scope: Scope, session: AsyncSession) -> object:
    return await page_of_models(session, scope, Sort.NAME, ANN, GUILD, 0, 10, {1, 2})


# Photos to drop are not among them: their table holds nothing but the photos that are still to be dropped.
OFTEN: dict[str, Work] = {
    "an imagining": accept_and_place,
    "a training": train_and_delete,
    "autocomplete": lambda session: suggest_models(session, "r", ANN, GUILD, 25, {1, 2}),
    "names in a prompt": lambda session: usable_models(session, ANN, GUILD, {1, 2}),
    "a gallery": lambda session: own_models(session, ANN, 0, 10),
    **{f"the gallery {scope}": partial(page_of_gallery, scope) for scope in Scope},
    "a search for models": lambda session: search_models(session, "re", ANN, GUILD, 25, {1, 2}),
    "how much a model is used": lambda session: uses_of(session, NOBODY),
    "what can be taken back": lambda session: binned_models(session, ANN),
    "models to erase": lambda session: overdue_models(session, NOW, 10),
    "a set": lambda session: lead_of(session, NOBODY),
    "a person's list": lambda session: list_jobs(session, ANN, NOW, 0, 10),
    "a person's active jobs": lambda session: active_jobs(session, ANN),
    "how long trainings take": lambda session: finished_trainings(session, "demo"),
    "how many trainings come first": lambda session: count_active_trainings(session, "demo"),
    "a quota": lambda session: used(session, ANN, JobKind.IMAGINE, NOW),
    "a limit": lambda session: limit_of(session, JobKind.IMAGINE, GUILD, {1, 2}),
    "where a server lets it be used": lambda session: check_open_channel(session, GUILD, [1]),
    "the last days": lambda session: last_days(session, NOW),
    "a job's pictures": lambda session: pictures_of(session, NOBODY),
    "a job's card": lambda session: find_delivery(session, NOBODY, DeliveryKind.CARD),
    "what is due": lambda session: due_deliveries(session, LATER, busy=(1,), paced=(2,)),
    "what to release": lambda session: next_releases(session, WINDOWS),
    "what to cancel": jobs_to_cancel,
    "what Redis should know": jobs_in_redis,
    "cards in the queue": lambda session: touch_waiting_cards(session, JobKind.TRAIN, NOW),
    "photos to look for": lambda session: awaited_photos(session, 10),
    "orphans": lambda session: unreferenced(session, [f"photos/{NOBODY}/0.png"]),
    "models to look for": lambda session: ready_models(session, "", 10),
    "prompts to forget": lambda session: forget_prompts(session, LATER, 10),
    "old events": lambda session: prune_inbox(session, NOW, 10),
}


@pytest.fixture(params=[False, True], ids=["without statistics", "with statistics"])
async def years(database: Database, request: pytest.FixtureRequest) -> Database:
    """A database in which nearly all jobs have ended alike; SQLite knows of that once somebody has analysed it."""
    if request.param:
        async with database.write() as session:
            await accept_imagining(session, new_imagining(), NOW)
            for statement in (OTHERS, THEIR_JOBS, *ANALYSE):
                await session.execute(text(statement))
    return database


@pytest.mark.parametrize("what", OFTEN)
async def test_what_is_asked_often_is_looked_up(years: Database, what: str) -> None:
    assert [step for step in await plans(years, OFTEN[what]) if reads_a_table(step.split())] == []


async def test_what_a_person_has_used_is_looked_up_among_their_own_jobs(years: Database) -> None:
    steps = await plans(years, lambda session: used_since(session, ANN, NOW))
    found = [step for step in steps if "jobs" in step]
    assert found == ["SEARCH jobs USING INDEX ix_jobs_owner_id_created_at (owner_id=? AND created_at>?)"] * 2


async def test_a_query_that_reads_a_table_is_noticed(database: Database) -> None:
    async def look(session: AsyncSession) -> object:
        return (await session.scalars(select(Job).where(Job.spoiler))).all()

    (step,) = await plans(database, look)
    assert reads_a_table(step.split())


async def plans(database: Database, work: Work) -> list[str]:
    """Do the work, and return the steps of SQLite's plans for its queries."""
    asked: list[tuple[str, Any]] = []

    def listen(_connection: object, _cursor: object, statement: str, values: Any, *_others: object) -> None:
        asked.append((statement, values))

    async with database.write() as session:
        connection = (await session.connection()).sync_connection
        assert connection is not None
        event.listen(connection, "before_cursor_execute", listen)
        await work(session)
        await session.flush()
        event.remove(connection, "before_cursor_execute", listen)
        steps = []
        for statement, values in asked:
            if statement.split()[0] in {"SELECT", "UPDATE", "DELETE", "WITH"}:
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                steps += [step for *_, step in plan.all()]
    assert asked
    return steps


def reads_a_table(words: Sequence[str]) -> bool:
    """SCAN goes through a table or the whole of an index; SEARCH goes to a place in it. Aliases end in a number."""
    return words[0] == "SCAN" and words[1].rstrip("_0123456789") in Base.metadata.tables and words[-1] not in SMALL
