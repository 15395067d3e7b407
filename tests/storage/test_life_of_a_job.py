"""Everything that can happen to jobs, in any order, with the promises checked after every transaction.

A long run: `pytest tests/storage/test_life_of_a_job.py --hypothesis-profile=long --timeout=0`.
"""

import shutil
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from sqlalchemy.exc import SQLAlchemyError

from storage import class_questions
from storage.errors import UserError
from storage.outcomes import MAX_ATTEMPTS
from storage.schema import ACTIVE, WAITING
from tests.storage.life.bot import Bot
from tests.storage.life.messages import Messages
from tests.storage.life.outside import news
from tests.storage.life.people import People
from tests.storage.life.promises import all_is_done
from tests.storage.life.sabotage import QUICKLY_FOUND, SABOTAGES
from tests.storage.life.workers import Workers
from tests.storage.life.world import mortal

LEAN = settings(
    max_examples=10, stateful_step_count=80, phases=(Phase.reuse, Phase.generate), report_multiple_bugs=False
)
"""Fails at the first finding; the long run shortens it to what matters."""
ROUNDS = 4 * MAX_ATTEMPTS


class LifeOfAJob(People, Workers, Bot, Messages):
    @precondition(lambda self: self.jobs(*WAITING))
    @rule(how=st.sampled_from(("done", "done", "broken", "doubtful")), far=st.integers(1, 3))
    @mortal
    def go_on_as_usual(self, how: str, far: int) -> None:
        """What happens most of the time: the next job is released and begun, then it ends, then the bot hears of it."""
        self.relay()
        for attempt in self.outside.redis.queued[:1]:
            self.outside.claim(attempt)
            self.outside.tell(news("started", *attempt, self.outside.next_number()))
            if far > 1:
                self.finish(attempt, how)
        if far > 2:
            self.read_events()

    @precondition(lambda self: any(event.kind == "done" for event in self.outside.redis.stream))
    @rule(data=st.data())
    @mortal
    def delete_at_the_last_moment(self, data: st.DataObject) -> None:
        """A job has ended well, and its model goes before the bot hears of it."""
        done = data.draw(st.sampled_from([event.job for event in self.outside.redis.stream if event.kind == "done"]))
        if (model_id := self.rows.jobs[done].model_id) is not None:
            model = self.rows.models[model_id]
            self.delete_model(model, model.owner_id, dies=False)
            self.read_events()

    @precondition(lambda self: self.unnoted is None and bool(self.outside.redis.stream))
    @rule()
    @mortal
    def show_while_it_goes_on(self) -> None:
        """What a message shows is old before it is noted as shown."""
        self.show_one()
        self.read_events()
        if self.unnoted is not None:
            self.note_what_was_shown()

    as_usual, once_more = go_on_as_usual, go_on_as_usual

    def teardown(self) -> None:
        try:
            if sys.exception() is None:
                self.come_to_rest()
        finally:
            super().teardown()

    def come_to_rest(self) -> None:
        """With living workers and no more trouble, everything ends."""
        self.doomed = False
        for _ in range(ROUNDS):
            self.read_events()
            self.relay()
            for attempt in list(self.outside.redis.queued):
                self.outside.claim(attempt)
            for attempt in list(self.outside.at_work):
                self.finish(attempt, "cancelled" if attempt[0] in self.outside.redis.cancels else "done")
            self.read_events()
            self.mend_everything()
            self.now += timedelta(minutes=6)
            self.deliver()
            self.every_promise_holds()
            if not self.jobs(*ACTIVE) and not [row for row in self.rows.deliveries.values() if row.dirty]:
                break
        self.now += class_questions.LIFE
        self.drop_photos()
        self.sweep()
        all_is_done(self.rows, self.outside)


@pytest.fixture(scope="module", autouse=True)
def _disk_in_memory(database_template: Path) -> Iterator[None]:
    """A file, but in memory: a database of SQLite's own in memory has neither WAL nor an end and a new beginning."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        LifeOfAJob.template = Path(shutil.copy(database_template, folder))
        yield


def is_long() -> bool:
    return settings.get_current_profile_name() == "long"


@pytest.mark.timeout(600)
def test_anything_may_happen_and_every_promise_is_kept() -> None:
    run_state_machine_as_test(LifeOfAJob, settings=settings() if is_long() else LEAN)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", SABOTAGES if is_long() else QUICKLY_FOUND)
def test_a_broken_promise_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The long run breaks all that it knows to break."""
    SABOTAGES[what].commit(monkeypatch)
    search = settings(LEAN, max_examples=100, phases=(Phase.generate,), database=None, derandomize=True)
    with pytest.raises((AssertionError, pytest.fail.Exception, LookupError, UserError, SQLAlchemyError)):
        run_state_machine_as_test(LifeOfAJob, settings=search)
