"""What workers do: claim, report, end, freeze, die, hand over and lie; and Redis, which may forget everything."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from storage.contract import AnyEvent, JobKind, Sample
from storage.schema import ACTIVE, Job
from tests.storage.life.outside import Attempt, ending, news, success
from tests.storage.life.world import World


class Workers(World):
    @precondition(lambda self: self.outside.redis.queued)
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        self.outside.claim(data.draw(st.sampled_from(self.outside.redis.queued)))

    @precondition(lambda self: self.outside.at_work)
    @rule(data=st.data(), kind=st.sampled_from(("started", "step", "sample", "saved")))
    def report(self, data: st.DataObject, kind: str) -> None:
        attempt = self._any_attempt(data)
        self.outside.tell(news(kind, *attempt, self.outside.next_number()))

    @precondition(lambda self: self.outside.at_work)
    @rule(data=st.data(), how=st.sampled_from(("done", "done", "done", "broken", "diverged", "unsafe")))
    def end(self, data: st.DataObject, how: str) -> None:
        attempt = self._any_attempt(data)
        cancelled = attempt[0] in self.outside.redis.cancels
        self.finish(attempt, "cancelled" if cancelled else how)

    def finish(self, attempt: Attempt, how: str) -> None:
        job = self.rows.jobs[attempt[0]]
        self.outside.finish(attempt, ending(how, job, attempt[1], self.outside.next_number()))

    @precondition(lambda self: self.outside.at_work)
    @rule(data=st.data())
    def die_at_work(self, data: st.DataObject) -> None:
        self.outside.leave(self._any_attempt(data))

    @precondition(lambda self: self.outside.at_work)
    @rule(data=st.data())
    def hand_over(self, data: st.DataObject) -> None:
        """Shut down in order: the attempt stays in the queue for another worker."""
        attempt = self._any_attempt(data)
        self.outside.leave(attempt)
        self.outside.redis.claimed.discard(attempt)
        self.outside.redis.enqueue(attempt)

    @precondition(lambda self: self.outside.redis.leased)
    @rule(data=st.data())
    def freeze(self, data: st.DataObject) -> None:
        """The lease runs out; the worker goes on when it wakes, and knows nothing of it."""
        self.outside.redis.leased.discard(data.draw(st.sampled_from(sorted(self.outside.redis.leased))))

    @precondition(lambda self: self.outside.redis.queued or self.outside.redis.finished)
    @rule()
    def redis_forgets(self) -> None:
        self.outside.redis.forget()

    @precondition(lambda self: self.jobs(*ACTIVE))
    @rule(data=st.data(), lie=st.integers(0, 3))
    def tell_a_lie(self, data: st.DataObject, lie: int) -> None:
        """Speak of files that are not the job's own."""
        job = self.draw_job(data, self.jobs(*ACTIVE))
        self.outside.redis.stream.append(self._lie(job, lie))
        self.outside.lies.add(self.outside.redis.stream[-1].id)

    def _lie(self, job: Job, number: int) -> AnyEvent:
        seq = self.outside.next_number()
        if number == 0:
            return Sample(job=job.id, attempt=job.attempt, seq=seq, step=1, key=f"photos/{'f' * 32}/0.png")
        done = success(job, job.attempt, seq)
        if number == 1 or job.kind is JobKind.IMAGINE:
            return done.model_copy(update={"trained": None, "imagined": None})
        trained = done.trained
        assert trained is not None
        if number == 2:
            return done.model_copy(update={"trained": trained.model_copy(update={"download": "models/other/x.bin"})})
        adapter = trained.adapter.model_copy(update={"model": "f" * 32})
        return done.model_copy(update={"trained": trained.model_copy(update={"adapter": adapter})})

    def _any_attempt(self, data: st.DataObject) -> Attempt:
        return data.draw(st.sampled_from(self.outside.at_work))
