"""Everything that can happen to jobs, in any order, with the promises checked after every transaction.

A long run: `pytest tests/storage/test_life_of_a_job.py -k anything --hypothesis-profile=long --timeout=0`.
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

from storage.outcomes import MAX_ATTEMPTS
from storage.schema import ACTIVE, WAITING
from tests.storage.life.bot import Bot
from tests.storage.life.messages import Messages
from tests.storage.life.outside import news
from tests.storage.life.people import People
from tests.storage.life.promises import all_is_done
from tests.storage.life.workers import Workers
from tests.storage.life.world import mortal

LEAN = settings(
    max_examples=15, stateful_step_count=50, phases=(Phase.reuse, Phase.generate), report_multiple_bugs=False
)
"""Fails at the first finding; the long run shortens it to what matters."""
ROUNDS = 4 * MAX_ATTEMPTS


class LifeOfAJob(People, Workers, Bot, Messages):
    @precondition(lambda self: self.jobs(*WAITING))
    @rule(how=st.sampled_from(("done", "done", "broken")))
    @mortal
    def go_on_as_usual(self, how: str) -> None:
        """What happens most of the time: the next job is released, taken, worked at and ended."""
        self.relay()
        for attempt in self.outside.redis.queued[:1]:
            self.outside.claim(attempt)
            self.outside.tell(news("started", *attempt, self.outside.next_number()))
            self.finish(attempt, how)
        self.read_events()

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


def test_anything_may_happen_and_every_promise_is_kept() -> None:
    chosen = settings() if settings.get_current_profile_name() == "long" else LEAN
    run_state_machine_as_test(LifeOfAJob, settings=chosen)
