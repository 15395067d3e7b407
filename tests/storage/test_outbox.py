import itertools
from collections import Counter
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from storage.contract import JobKind, Started
from storage.database import Database
from storage.events import apply_event
from storage.jobs import request_cancel
from storage.outbox import Release, jobs_in_redis, jobs_to_cancel, mark_released, next_releases, release_again
from storage.outcomes import retry_job
from storage.schema import WAITING, Job, JobState, OutboxEntry
from tests.storage.examples import ANN, BOB, NOW, accepted_imagining, accepted_training, imagined, trained

PEOPLE = itertools.count(5000)
WIDE = {JobKind.TRAIN: 1000, JobKind.IMAGINE: 1000}


async def releases(database: Database, imagine: int = 1000) -> list[Release]:
    async with database.read() as session:
        return list(await next_releases(session, {**WIDE, JobKind.IMAGINE: imagine}))


async def release_all(database: Database, imagine: int = 1000) -> list[str]:
    sent = await releases(database, imagine)
    for release in sent:
        async with database.write() as session:
            assert await mark_released(session, release, NOW)
    return [release.job for release in sent]


async def test_what_was_sent_is_not_sent_again(database: Database) -> None:
    training, picture = await accepted_training(database), await accepted_imagining(database)
    assert sorted(await release_all(database)) == sorted([training.id, picture.id])
    assert await releases(database) == []
    async with database.read() as session:
        assert {job.state for job in await jobs_in_redis(session)} == {JobState.QUEUED}


async def test_people_take_turns(database: Database) -> None:
    many = [await accepted_imagining(database, ANN) for _ in range(5)]
    one = await accepted_imagining(database, BOB)
    assert [release.job for release in await releases(database, imagine=3)] == [many[0].id, one.id, many[1].id]


async def test_a_second_attempt_keeps_the_place_of_its_job(database: Database) -> None:
    first = await accepted_imagining(database, ANN)
    await release_all(database)
    later = [await accepted_imagining(database, BOB, at=NOW + timedelta(seconds=1 + n)) for n in range(2)]
    async with database.write() as session:
        await retry_job(session, first.id, NOW)
    assert [release.job for release in await releases(database)] == [first.id, *(job.id for job in later)]


async def test_jobs_in_redis_count_as_turns(database: Database) -> None:
    many = [await accepted_imagining(database, ANN) for _ in range(4)]
    assert await release_all(database, imagine=2) == [many[0].id, many[1].id]
    others = [await accepted_imagining(database, BOB) for _ in range(2)]
    assert [release.job for release in await releases(database, imagine=5)] == [
        others[0].id,
        others[1].id,
        many[2].id,
    ]


async def test_a_window_makes_room_when_a_job_starts(database: Database) -> None:
    first, second = await accepted_imagining(database), await accepted_imagining(database)
    assert await release_all(database, imagine=1) == [first.id]
    assert await releases(database, imagine=1) == []
    async with database.write() as session:
        await apply_event(session, Started(job=first.id, attempt=1, seq=1, worker="w", steps=1), NOW)
    assert await release_all(database, imagine=1) == [second.id]


async def test_a_job_cancelled_on_its_way_is_known_as_such(database: Database) -> None:
    job = await accepted_imagining(database)
    (release,) = await releases(database)
    async with database.write() as session:
        await request_cancel(session, job.id, ANN, NOW)
    async with database.write() as session:
        assert not await mark_released(session, release, NOW)


async def test_only_the_present_attempt_is_sent(database: Database) -> None:
    job = await accepted_imagining(database)
    (old,) = await releases(database)
    async with database.write() as session:
        await retry_job(session, job.id, NOW)
    async with database.write() as session:
        assert not await mark_released(session, old, NOW)
    assert [release.attempt for release in await releases(database)] == [2]


async def test_a_job_whose_worker_was_faster_than_us_stays_running(database: Database) -> None:
    job = await accepted_imagining(database)
    (release,) = await releases(database)
    async with database.write() as session:
        await apply_event(session, Started(job=job.id, attempt=1, seq=1, worker="w", steps=1), NOW)
    assert await releases(database) == []
    async with database.write() as session:
        assert await mark_released(session, release, NOW)
        assert (await session.get_one(Job, job.id)).state is JobState.RUNNING


async def test_what_redis_forgot_is_sent_again(database: Database) -> None:
    job = await accepted_imagining(database)
    await release_all(database)
    async with database.write() as session:
        await release_again(session, job.id, 1, NOW)
    assert [(release.job, release.attempt) for release in await releases(database)] == [(job.id, 1)]


async def test_what_redis_forgot_and_nobody_wants_is_cancelled(database: Database) -> None:
    job = await accepted_imagining(database)
    await release_all(database)
    async with database.write() as session:
        await request_cancel(session, job.id, ANN, NOW)
    async with database.read() as session:
        assert [wanted.id for wanted in await jobs_to_cancel(session)] == [job.id]
    async with database.write() as session:
        await release_again(session, job.id, 1, NOW)
        assert (await session.get_one(Job, job.id)).state is JobState.CANCELLED


async def test_an_ended_job_leaves_nothing_to_send(database: Database) -> None:
    job = await accepted_imagining(database)
    async with database.write() as session:
        await apply_event(session, imagined(job), NOW)
        await release_again(session, job.id, 1, NOW)
        assert (await session.scalars(select(OutboxEntry).where(OutboxEntry.sent_at.is_(None)))).all() == []


@settings(max_examples=15)
@given(owners=st.lists(st.integers(1, 4), min_size=1, max_size=12), window=st.integers(1, 6))
async def test_nobody_is_two_jobs_ahead_of_one_who_waits(database: Database, owners: list[int], window: int) -> None:
    """The sixth test of a row meets the jobs of the five before it: they have all ended."""
    jobs = {}
    for place, owner in enumerate(owners):
        job = await accepted_imagining(database, owner, at=NOW + timedelta(seconds=place))
        jobs[job.id] = owner
    sent = Counter(jobs[job] for job in await release_all(database, imagine=window))
    total = Counter(owners)
    assert sum(sent.values()) == min(window, len(owners))
    for owner, count in sent.items():
        waiting = [other for other in total if sent[other] < total[other]]
        assert all(count <= sent[other] + 1 for other in waiting if other != owner)
    async with database.write() as session:
        for job in await session.scalars(select(Job)):
            job.state = JobState.CANCELLED


async def test_many_jobs_of_one_do_not_stand_before_one_of_another(database: Database) -> None:
    for _ in range(40):
        await accepted_imagining(database, ANN)
    sent = await release_all(database, imagine=8)
    one = await accepted_imagining(database, BOB)
    assert await releases(database, imagine=8) == []  # the window is full

    async with database.write() as session:
        await apply_event(session, Started(job=sent[0], attempt=1, seq=1, worker="w", steps=1), NOW)
    assert [release.job for release in await releases(database, imagine=8)] == [one.id]


@settings(max_examples=10)
@given(
    windows=st.fixed_dictionaries({JobKind.TRAIN: st.integers(1, 3), JobKind.IMAGINE: st.integers(1, 3)}),
    acts=st.lists(st.sampled_from(("train", "imagine", "release", "start", "end")), min_size=5, max_size=25),
)
async def test_each_queue_holds_no_more_than_its_window(
    database: Database, windows: dict[JobKind, int], acts: list[str]
) -> None:
    """Nor less, as long as something waits."""
    async with database.write() as session:
        for job in await session.scalars(select(Job)):
            job.state = JobState.CANCELLED  # of the example before
    for seq, act in enumerate(acts):
        if act == "train":
            await accepted_training(database, owner=next(PEOPLE))
        elif act == "imagine":
            await accepted_imagining(database, owner=ANN + seq % 2)
        elif act == "release":
            async with database.read() as session:
                found = await next_releases(session, windows)
            for release in found:
                async with database.write() as session:
                    assert await mark_released(session, release, NOW)
            await check_windows(database, windows)
        else:
            await go_on(database, seq, ends=act == "end")


async def check_windows(database: Database, windows: dict[JobKind, int]) -> None:
    async with database.read() as session:
        jobs = (await session.scalars(select(Job).where(Job.state.in_(WAITING)))).all()
    states = Counter((job.kind, job.state) for job in jobs)
    for kind, window in windows.items():
        held = states[kind, JobState.QUEUED]
        assert held <= window
        assert held == window or not states[kind, JobState.ACCEPTED]


async def go_on(database: Database, seq: int, *, ends: bool) -> None:
    """Let the first job in Redis begin, or end."""
    async with database.write() as session:
        for job in (await jobs_in_redis(session))[:1]:
            begun = Started(job=job.id, attempt=1, seq=seq, worker="w", steps=1)
            ended = trained(job, seq) if job.kind is JobKind.TRAIN else imagined(job, seq)
            await apply_event(session, ended if ends else begun, NOW)
