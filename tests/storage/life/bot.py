"""What the bot does by itself: release, apply, reconcile, clean up, and die at any moment."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from sqlalchemy.ext.asyncio import AsyncSession

from storage import class_questions
from storage.contract import AnyEvent, Cancelled, Done, Failed, FailureReason, JobKind, Started, Step
from storage.events import apply_event
from storage.leftovers import expired_photos, forget_photos, forget_prompts, prune_inbox, unreferenced
from storage.outbox import Release, jobs_in_redis, jobs_to_cancel, mark_released, next_releases, release_again
from storage.outcomes import MAX_ATTEMPTS, end_job, fail_job, retry_job
from storage.schema import ACTIVE, Job, JobState
from tests.storage.life.world import World, mortal

WINDOWS = {JobKind.TRAIN: 1, JobKind.IMAGINE: 2}


class Bot(World):
    # Rows -> Redis

    def look_what_to_send(self) -> None:
        async def look(session: AsyncSession) -> list[Release | Job]:
            return [*await next_releases(session, WINDOWS), *await jobs_to_cancel(session)]

        self.on_the_way = self.read(look)
        for job in self.on_the_way:
            row = self.rows.jobs[job.job if isinstance(job, Release) else job.id]
            assert row.attempt == job.attempt
            assert not row.state.ended

    @precondition(lambda self: self.on_the_way or self.jobs(*ACTIVE))
    @rule()
    @mortal
    def send_one(self) -> None:
        """Tell Redis one thing; what the bot saw beside it may be old when its turn comes."""
        if not self.on_the_way:
            self.look_what_to_send()
        if self.on_the_way:
            message = self.on_the_way.pop(0)
            if isinstance(message, Release):
                self._release(message)
            else:
                self._cancel(message)

    @precondition(lambda self: self.jobs(*ACTIVE))
    @rule()
    @mortal
    def relay(self) -> None:
        self.send_one()
        while self.on_the_way:
            self.send_one()

    def _release(self, release: Release) -> None:
        redis, attempt = self.outside.redis, (release.job, release.attempt)
        redis.discard((release.job, release.attempt - 1))
        redis.enqueue(attempt)
        job = self.rows.jobs[release.job]
        wanted = self.write(lambda session: mark_released(session, release, self.now))
        assert wanted == (not job.state.ended and job.attempt == release.attempt)
        if not wanted:
            redis.withdraw(attempt)

    def _cancel(self, job: Job) -> None:
        self.outside.redis.cancels.add(job.id)
        if not self.outside.redis.withdraw((job.id, job.attempt)):
            return

        async def end(session: AsyncSession) -> None:
            await end_job(session, await session.get_one(Job, job.id), JobState.CANCELLED, self.now)

        self.write(end)

    # Events -> rows

    @precondition(lambda self: self.outside.redis.stream)
    @rule()
    @mortal
    def read_events(self) -> None:
        while self.outside.redis.stream:
            self._apply(self.outside.redis.stream[0])

    @precondition(lambda self: self.outside.redis.stream)
    @rule(data=st.data())
    @mortal
    def read_an_event_out_of_turn(self, data: st.DataObject) -> None:
        self._apply(data.draw(st.sampled_from(self.outside.redis.stream)))

    @precondition(lambda self: self.applied)
    @rule(data=st.data())
    @mortal
    def read_an_event_again(self, data: st.DataObject) -> None:
        self._apply(data.draw(st.sampled_from(self.applied)))

    def _apply(self, event: AnyEvent) -> None:
        """Apply an event; one that must not count must leave no trace but its id."""
        before, counts = self.rows, self._counts(event)
        job = before.jobs[event.job]
        applied = self.write(lambda session: apply_event(session, event, self.now))
        assert (applied is not None) == counts
        if applied is None:
            assert replace(self.rows, inbox=before.inbox) == before
        else:
            assert (applied.state, applied.failure) == self._outcome(job, event)
        self.promises.applied.add(event.id)
        self.applied.append(event)
        if event in self.outside.redis.stream:
            self.outside.redis.stream.remove(event)

    def _counts(self, event: AnyEvent) -> bool:
        job = self.rows.jobs[event.job]
        new = event.id not in self.promises.applied and event.seq > job.last_seq
        true = event.id not in self.outside.lies
        return new and true and not job.state.ended and event.attempt == job.attempt

    def _outcome(self, job: Job, event: AnyEvent) -> tuple[JobState, FailureReason | None]:
        match event:
            case Done():
                gone = job.model_id is not None and self.rows.models[job.model_id].deleted_at is not None
                return JobState.CANCELLED if gone else JobState.SUCCEEDED, None
            case Failed(retry=True) if job.cancel_requested_at is not None:
                return JobState.CANCELLED, None
            case Failed(retry=True) if job.attempt < MAX_ATTEMPTS:
                return JobState.ACCEPTED, None
            case Failed():
                return JobState.FAILED, event.reason
            case Cancelled():
                return JobState.CANCELLED, None
            case Started() | Step():
                return JobState.RUNNING, None
            case _:
                return JobState.QUEUED if job.state is JobState.ACCEPTED else job.state, None

    # Rows and the world

    @precondition(lambda self: self.jobs(JobState.QUEUED, JobState.RUNNING))
    @rule(data=st.data())
    @mortal
    def reconcile(self, data: st.DataObject) -> None:
        self.mend(self.draw_job(data, self._known_to_redis()))

    @precondition(lambda self: self.outside.at_work and self.jobs(JobState.QUEUED, JobState.RUNNING))
    @rule(data=st.data())
    @mortal
    def believe_dead(self, data: st.DataObject) -> None:
        """A worker freezes for longer than its lease lasts, and wakes after the job was started anew."""
        attempt = data.draw(st.sampled_from(self.outside.at_work))
        self.outside.redis.leased.discard(attempt)
        for job in self._known_to_redis():
            if job.id == attempt[0]:
                self.mend(job)

    def mend(self, job: Job) -> None:
        """Start anew what its worker left, send again what Redis forgot, leave alone what is well."""
        redis, attempt = self.outside.redis, (job.id, job.attempt)
        if attempt in redis.leased or (attempt in redis.queued and attempt not in redis.claimed):
            return
        if job.state is JobState.RUNNING or attempt in redis.claimed or attempt in redis.finished:
            self.write(lambda session: retry_job(session, job.id, self.now))
        else:
            self.write(lambda session: release_again(session, job.id, job.attempt, self.now))

    def mend_everything(self) -> None:
        for job in self._known_to_redis():
            self.mend(job)

    @precondition(lambda self: self.rows.jobs)
    @rule(data=st.data())
    @mortal
    def miss_photos(self, data: st.DataObject) -> None:
        """The job may have ended since the bot looked for its photos."""
        job, before = self.draw_job(data, self.rows.jobs.values()), self.rows
        reason = FailureReason.PHOTOS_MISSING
        failed = self.write(lambda session: fail_job(session, job.id, reason, self.now))
        if job.state.ended:
            assert self.rows == before
        else:
            assert (failed.state, failed.failure) == (JobState.FAILED, reason)

    @precondition(lambda self: self.rows.jobs)
    @rule(
        what=st.sampled_from(("drop_photos", "sweep", "prune", "forget_words")),
        later=st.sampled_from((0, 1, 60, 3600, 50_000)),
    )
    @mortal
    def clean_up(self, what: str, later: int) -> None:
        self.now += timedelta(seconds=later)
        getattr(self, what)()

    def drop_photos(self) -> None:
        """Delete the photos of trainings that have ended: their bytes first, and the bot may die in between."""
        photos = self.read(
            lambda session: expired_photos(session, self.now, self.now - class_questions.LIFE, limit=1000)
        )
        assert all(self.rows.jobs[photo.job_id].state.ended for photo in photos)
        self.outside.blobs.difference_update(photo.key for photo in photos)
        self.write(lambda session: forget_photos(session, [photo.id for photo in photos]))

    def sweep(self) -> None:
        """Delete what nobody points at, and nothing that a training or a draft still needs."""
        old = sorted(self.outside.blobs)
        orphans = self.read(lambda session: unreferenced(session, old))
        needed = {*self.rows.drafts, *(job.id for job in self.jobs(*ACTIVE))}
        known = set(self.rows.keys())
        assert orphans == [key for key in old if key not in known and needed.isdisjoint(key.split("/"))]
        self.outside.blobs.difference_update(orphans)

    def prune(self) -> None:
        self.write(lambda session: prune_inbox(session, self.now, limit=1000))
        self.promises.pruned |= self.promises.applied

    def forget_words(self) -> None:
        self.write(lambda session: forget_prompts(session, self.now, limit=1000))
        assert not [job for job in self.jobs(JobState.FAILED, JobState.CANCELLED) if job.prompt_shown is not None]

    @precondition(lambda self: self.rows.jobs and not self.doomed)
    @rule(at_once=st.booleans())
    def meet_death(self, at_once: bool) -> None:
        """Die now, or just before the next commit."""
        if at_once:
            self.die()
        else:
            self.doomed = True

    def _known_to_redis(self) -> Sequence[Job]:
        found = self.read(jobs_in_redis)
        assert {job.id for job in found} == {job.id for job in self.jobs(JobState.QUEUED, JobState.RUNNING)}
        return found
