"""The database, what surrounds it and what was promised; transactions, and the deaths that interrupt them."""

import asyncio
import functools
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from storage.contract import AnyEvent
from storage.database import Database
from storage.errors import UserError
from storage.outbox import Release
from storage.schema import Job, JobState
from tests.storage.examples import NOW
from tests.storage.life.outside import Outside, Shown
from tests.storage.life.promises import ALWAYS, Promise, Promises, check_change
from tests.storage.life.rows import Rows

Machine = TypeVar("Machine", bound="World")
P = ParamSpec("P")
T = TypeVar("T")


QUERIES: dict[object, object] = {}
"""The spectators' queries, so that not each of them has to compile its own."""


class Died(Exception):
    """The bot's process ended here."""


def mortal(what: Callable[Concatenate[Machine, P], None]) -> Callable[Concatenate[Machine, P], None]:
    """Let the bot die within a rule."""

    def run(self: Machine, /, *args: P.args, **kwargs: P.kwargs) -> None:
        with suppress(Died):
            what(self, *args, **kwargs)

    functools.update_wrapper(run, what)
    return run


class World(RuleBasedStateMachine):
    template: ClassVar[Path]
    """A migrated, empty database; copies of it come to lie beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(mkdtemp(dir=self.template.parent))
        self.life = 0
        self.doomed = False
        self.now, self.ids = NOW, 0
        self.outside, self.promises = Outside(), Promises()
        self.applied: list[AnyEvent] = []
        shutil.copy(self.template, self.disk)
        self.begin_life()

    def begin_life(self) -> None:
        """Start the bot; what it keeps in memory alone begins empty."""
        self.database = self.run(Database.open(f"sqlite:///{self.disk}"))
        self.spectator = create_engine(f"sqlite:///{self.disk}").execution_options(compiled_cache=QUERIES)
        self.rows = self.look()
        self.on_the_way: list[Release | Job] = []
        self.due: list[int] = []
        self.unnoted: tuple[int, int, int] | None = None
        self.answers: dict[str, Shown] = {}

    @property
    def disk(self) -> Path:
        """The database's file; each life of the bot has its own copy of what the one before left."""
        return self.folder / f"{self.life}.db"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def look(self) -> Rows:
        """Return what was committed, as another process sees it."""
        with Session(self.spectator) as session:
            return Rows.of(session)

    def read(self, look: Callable[[AsyncSession], Awaitable[T]]) -> T:
        async def transaction() -> T:
            async with self.database.read() as session:
                return await look(session)

        return self.run(transaction())

    def write(self, change: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Commit a change and look at the rows. Whoever is doomed dies just before the commit."""

        async def transaction() -> T:
            async with self.database.write() as session:
                result = await change(session)
                await session.flush()
                if self.doomed:
                    self.leave_disk()
                    raise Died
                return result

        before = self.rows
        try:
            result = self.run(transaction())
        except Died:
            self.live_again()
            assert self.rows == before, "half a transaction"
            raise
        self.rows = self.look()
        check_change(before, self.rows)
        return result

    def ask(self, refusal: type[UserError] | None, change: Callable[[AsyncSession], Awaitable[T]]) -> T | None:
        """Do what a person asks for, or see it refused with this error and without a trace."""
        if refusal is None:
            return self.write(change)
        with pytest.raises(refusal):
            self.write(change)
        assert self.look() == self.rows
        return None

    def die(self) -> None:
        """End as by SIGKILL: the next life has what lies on the disk, and nothing that was in memory."""
        self.leave_disk()
        self.live_again()

    def leave_disk(self) -> None:
        """Copy the files as they lie there at this moment."""
        for end in ("", "-wal"):
            shutil.copy(f"{self.disk}{end}", self.folder / f"{self.life + 1}.db{end}")

    def live_again(self) -> None:
        self.end_life()
        self.life, self.doomed = self.life + 1, False
        self.begin_life()

    def promise(self, job: Job) -> None:
        """Remember what its owner was told."""
        self.promises.jobs[job.id] = Promise(job.owner_id, job.kind, job.interaction_id, job.model_id)
        self.answers[job.id] = self.rows.shown(job.id)

    def new_number(self) -> int:
        self.ids += 1
        return self.ids

    def new_id(self) -> str:
        return f"{self.new_number():032x}"

    def jobs(self, *states: JobState) -> list[Job]:
        return [job for job in self.rows.jobs.values() if job.state in states]

    def draw_job(self, data: st.DataObject, jobs: Iterable[Job]) -> Job:
        return self.rows.jobs[data.draw(st.sampled_from([job.id for job in jobs]))]

    @invariant()
    def every_promise_holds(self) -> None:
        for holds in ALWAYS:
            holds(self.rows, self.promises, self.outside)

    def end_life(self) -> None:
        self.spectator.dispose()
        self.run(self.database.close())

    def teardown(self) -> None:
        self.end_life()
        self.runner.close()
        shutil.rmtree(self.folder)
