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
    @rule(
        data=st.data(), kinds=st.lists(st.sampled_from(("started", "step", "sample", "saved")), min_size=1, max_size=3)
    )
    def report(self, data: st.DataObject, kinds: list[str]) -> None:
        attempt = self._any_attempt(data)
        for kind in kinds:
            self.outside.tell(news(kind, *attempt, self.outside.next_number()))

    @precondition(lambda self: self.outside.at_work)
    @rule(data=st.data(), how=st.sampled_from(("done", "done", "done", "broken", "diverged", "unsafe", "doubtful")))
    def end(self, data: st.DataObject, how: str) -> None:
        attempt = self._any_attempt(data)
        cancelled = attempt[0] in self.outside.redis.cancels
        self.finish(attempt, "cancelled" if cancelled else how)

    def finish(self, attempt: Attempt, how: str) -> None:
        job = self.rows.jobs[attempt[0]]
        self.outside.finish(attempt, ending(how, job, attempt[1], self.outside.next_number()))

    @precondition(lambda self: self.outside.at_work)
    @rule(data=st.data(), how=st.sampled_from(("freeze", "freeze", "die", "hand over")))
    def falter(self, data: st.DataObject, how: str) -> None:
        """A frozen worker's lease runs out; it goes on when it wakes, and knows nothing of it."""
        attempt, redis = self._any_attempt(data), self.outside.redis
        redis.leased.discard(attempt)
        if how != "freeze":
            self.outside.at_work.remove(attempt)
        if how == "hand over":
            redis.claimed.discard(attempt)
            redis.enqueue(attempt)

    @precondition(lambda self: self.outside.redis.queued or self.outside.redis.finished)
    @rule()
    def redis_forgets(self) -> None:
        self.outside.redis.forget()

    @precondition(lambda self: self.jobs(*ACTIVE) and len(self.outside.lies) < 3)
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

    report_more, end_at_last = report, end  # what is most of a worker's life comes up more often
