"""`/admin`: for whoever manages the server, and for nobody else."""

import pytest
from simcord.actors import MemberActor

from storage.worker_status import EngineStatus, WorkerStatus
from tests.bot.conftest import World, answer

ENGINE = EngineStatus(
    device="cuda",
    slots=64,
    slots_used=5,
    slots_held=2,
    training_slots=4,
    training=3,
    trainings_waiting=1,
    pictures=16,
    queue=(12, 3, 1),
    batch_fill=0.625,
    picture_steps_s=41.25,
    train_steps_s=8.5,
    memory_used_mb=10 * 1024,
    memory_total_mb=78 * 1024,
)


def worker(engine: EngineStatus | None) -> WorkerStatus:
    return WorkerStatus(worker="green-1f2e", base="demo", train_jobs=4, imagine_jobs=7, engine=engine)


async def test_it_shows_what_waits_and_how_workers_stand(world: World, manager: MemberActor) -> None:
    world.queue.statuses = [worker(ENGINE), worker(None)]
    await world.ada.slash(world.channel, "imagine", prompt="a boat")
    result = await manager.slash(world.channel, "admin status")
    assert result.ephemeral
    told = answer(result)
    assert "Pictures: 0 under way, 1 waiting" in told
    assert "Trainings: 0 under way, 0 waiting" in told
    assert "cuda: 10.0 of 78.0 GB memory" in told
    assert "models in slots: 5 of 64, 2 drawing" in told
    assert "41.2 of pictures, 8.5 of trainings, batches 62% full" in told
    assert "16, of 3 people (12, 3, 1)" in told
    assert "loads its base model" in told


@pytest.mark.parametrize(("workers", "words"), [([], "No worker is there"), (None, "does not answer")])
async def test_it_says_why_it_shows_none(
    world: World, manager: MemberActor, workers: list[WorkerStatus] | None, words: str
) -> None:
    world.queue.statuses = workers
    assert words in answer(await manager.slash(world.channel, "admin status"))


async def test_it_is_for_managers_alone(world: World) -> None:
    """The server's own settings may show the command to others; that does not open it to them."""
    world.queue.statuses = [worker(ENGINE)]
    (command,) = [each for each in await world.bot.tree.fetch_commands() if each.name == "admin"]
    world.guild.set_command_permissions(command, {world.ada: True})
    told = answer(await world.ada.slash(world.channel, "admin status"))
    assert told == "That is for those who may manage this server."
