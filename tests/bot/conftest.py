"""The real bot in a simulated Discord, with a real database and blob store in the test's own folder.

Redis is left out here: `World.queue` notes what it was asked, and `World.apply` does what the event reader does with an
event. Tests of the queue itself use a real server.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import discord
import pytest
import simcord
from simcord.actors import MemberActor
from simcord.builders import ChannelHandle, GuildHandle
from simcord.results import InteractionResult, ResponseMessage

from bot.app import Dreambot
from bot.delivery import Delivery
from bot.services import Services
from bot.settings import BotSettings
from storage import events, jobs
from storage.blobs import Blobs
from storage.contract import AnyEvent
from storage.database import Database
from storage.schema import Job
from storage.worker_status import WorkerStatus

BASE = "demo"

# SimCord lets the bot rest for 50 ms after each action; a millisecond finds the same and keeps the tests quick.
(simcord.Env._settle_internal.__kwdefaults__ or {})["idle"] = 0.001


@dataclass
class RecordingQueue:
    """Stands where the outbox stands."""

    alive: bool = True
    wakes: int = 0
    stopped: list[str] = field(default_factory=list)
    statuses: list[WorkerStatus] | None = None
    expected: list[str] = field(default_factory=list)
    """The names of models that workers would be told of."""

    def wake(self) -> None:
        self.wakes += 1

    async def stop(self, job: Job) -> None:
        self.stopped.append(job.id)

    async def worker_alive(self, base: str) -> bool:
        assert base == BASE
        return self.alive

    async def workers(self) -> list[WorkerStatus] | None:
        return self.statuses


@dataclass
class Clock:
    now: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass(kw_only=True)
class World:
    """Two people in one channel of one server, and the bot with all that it works with."""

    env: simcord.Env
    bot: Dreambot
    services: Services
    queue: RecordingQueue
    clock: Clock
    delivery: Delivery
    guild: GuildHandle
    channel: ChannelHandle
    ada: MemberActor
    ben: MemberActor
    seqs: dict[str, int] = field(default_factory=dict)

    async def apply(self, make: Callable[..., AnyEvent], job: str, attempt: int = 1, **fields: Any) -> None:
        """Apply the job's next event, as the event reader would."""
        seq = self.seqs[job] = self.seqs.get(job, -1) + 1
        event = make(job=job, attempt=attempt, seq=seq, **fields)
        async with self.services.database.write() as session:
            assert await events.apply_event(session, event, self.clock()) is not None

    async def job(self, job_id: str) -> Job:
        async with self.services.database.read() as session:
            job = await jobs.find_job(session, job_id)
        assert job is not None
        return job

    async def active(self, person: MemberActor) -> list[Job]:
        async with self.services.database.read() as session:
            return list(await jobs.active_jobs(session, person.id))

    async def deliver(self, after: float = 0) -> None:
        """Let the clock run on, then send and edit whatever is due."""
        self.clock.advance(after)
        await self.delivery.deliver_due()
        await self.env.settle()

    def seen_by(self, person: MemberActor) -> list[discord.Message]:
        return self.channel.history(viewer=person)

    def pinged(self, message: discord.Message) -> set[int]:
        """Return whom the message notified."""
        return set(self.env.backend.get_message(message.channel.id, message.id).ping_user_ids)


def words(message: discord.Message | ResponseMessage | None) -> str:
    """Everything that can be read in a message: its text, the words on its components and what its pictures show."""
    assert message is not None
    components = message.components
    raw = [part if isinstance(part, dict) else part.to_dict() for part in components]
    return "\n".join([message.content, *_strings(raw)])


def _strings(part: Any) -> list[str]:
    if isinstance(part, list):
        return [found for item in part for found in _strings(item)]
    if not isinstance(part, dict):
        return []
    own = [str(part[key]) for key in ("content", "label", "description", "placeholder") if part.get(key)]
    return own + [found for value in part.values() if isinstance(value, dict | list) for found in _strings(value)]


async def choose_model(message: ResponseMessage, who: MemberActor, model_id: str) -> InteractionResult:
    """Open a model by the gallery's menu."""
    parts = [part.to_dict() for part in message.message.components]
    (menu,) = re.findall(r"models:[0-9]+:[a-z]+:[0-9]+(?::[a-z]+)?:open", str(parts))
    return await who.select(message, [model_id], custom_id=menu)


def shown(result: InteractionResult) -> ResponseMessage:
    """Return the reply, to press something on it."""
    assert result.response is not None
    return result.response


def answer(result: InteractionResult) -> str:
    """What the person who acted was told, in private or not: the reply and all follow-ups."""
    messages = [message for message in (result.response, *result.followups) if message is not None]
    return "\n".join(words(message) for message in messages)


@pytest.fixture
def services(database: Database, blobs: Blobs) -> Services:
    queue = RecordingQueue()
    return Services(
        settings=BotSettings(_env_file=None),
        database=database,
        blobs=blobs,
        queue=queue,
        wake_delivery=lambda: None,
        base=BASE,
        expect=lambda model: queue.expected.append(model.name),
        clock=Clock(),
    )


@pytest.fixture
async def env(services: Services) -> AsyncIterator[simcord.Env]:
    """SimCord around the bot. A fixture of this type, for SimCord's plugin sets its clock by it."""
    bot = Dreambot(services)
    env = simcord.Env(bot, shard_count=1, settle_timeout=30)
    await env.start()
    try:
        yield env
    finally:
        await env.bot.close()
        await env.shutdown()
    if env.errors:
        env.raise_errors()


@pytest.fixture
async def world(env: simcord.Env, services: Services) -> World:
    guild = env.create_guild("Test server")
    people = [guild.add_member(env.create_user(name, global_name=name.title())) for name in ("ada", "ben")]
    bot, queue, clock = env.bot, services.queue, services.clock
    assert isinstance(bot, Dreambot)
    assert isinstance(queue, RecordingQueue)
    assert isinstance(clock, Clock)
    return World(
        env=env,
        bot=bot,
        services=services,
        queue=queue,
        clock=clock,
        delivery=Delivery(bot, services),
        guild=guild,
        channel=guild.create_text_channel("studio"),
        ada=people[0],
        ben=people[1],
    )


@pytest.fixture
def manager(world: World) -> MemberActor:
    """Whoever manages the server."""
    role = world.guild.create_role("Managers", permissions=discord.Permissions(manage_guild=True))
    return world.guild.add_member(world.env.create_user("mo"), roles=[role])


@pytest.fixture
def operator(world: World) -> MemberActor:
    """Whoever runs the bot, and manages the server as well: else Discord would not show them `/admin`."""
    role = world.guild.create_role("Staff", permissions=discord.Permissions(manage_guild=True))
    person = world.guild.add_member(world.env.create_user("opal"), roles=[role])
    settings = world.services.settings.model_copy(update={"operators": f"7, {person.id}"})
    world.services = world.bot.services = replace(world.services, settings=settings)
    return person


Restart = Callable[[], Awaitable[None]]


@pytest.fixture
def restart(world: World) -> Restart:
    """Start the bot anew on the same rows and the same Discord, as after a crash: nothing is left in memory."""

    async def start_anew() -> None:
        world.bot = Dreambot(world.services)
        world.delivery = Delivery(world.bot, world.services)
        await world.env.restart_bot(world.bot)

    return start_anew
