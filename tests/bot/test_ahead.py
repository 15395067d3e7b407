"""What is told of models that may soon be asked for: seldom, and only while it is news."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.client import PubSub

from bot import ahead as ahead_module
from bot.ahead import AGAIN, MOST_WAITING, Ahead
from bot.loops import running
from storage.contract import Adapter, SubjectKind, ahead_channel
from storage.redis_client import connection_pool
from storage.schema import Model, ModelStatus
from tests.bot.conftest import World, words
from tests.bot.made import trained
from tests.storage.examples import ANN, NOW, Clock
from tests.waiting import until


def model(number: int, status: ModelStatus = ModelStatus.READY) -> Model:
    return Model(
        id=f"{number:032x}",
        owner_id=ANN,
        guild_id=None,
        name="rex",
        name_key="rex",
        class_noun="dog",
        subject_kind=SubjectKind.PET,
        identifier="sks",
        photo_count=3,
        created_at=NOW,
        base="demo",
        status=status,
        adapter_key=f"models/{number}/a",
        adapter_digest=f"{number:064x}",
    )


@pytest.fixture
async def hints(redis: Redis) -> AsyncIterator[PubSub]:
    async with redis.pubsub(ignore_subscribe_messages=True) as opened:
        await opened.subscribe(ahead_channel("demo"))
        await opened.get_message(timeout=5)  # that it listens
        yield opened


async def test_a_model_is_told_of_once_a_minute(pool: ConnectionPool, hints: PubSub) -> None:
    clock = Clock()
    ahead, came = Ahead(pool, clock), list[str]()

    async def all_came(count: int) -> bool:
        if message := await hints.get_message(timeout=0.05):
            came.append(Adapter.model_validate_json(message["data"]).model)
        return len(came) == count

    async with running([ahead.run]):
        ahead.expect(model(1))
        ahead.expect(model(1))
        ahead.expect(model(2, ModelStatus.TRAINING))
        ahead.expect(model(3))
        await until(lambda: all_came(2))
        assert came == [model(1).id, model(3).id]
        clock.now += AGAIN + timedelta(seconds=1)
        ahead.expect(model(1))
        await until(lambda: all_came(3))


async def test_without_redis_hints_are_dropped_and_never_many_wait() -> None:
    ahead = Ahead(connection_pool("redis://127.0.0.1:1/0", patient=False), Clock())
    for number in range(5 * MOST_WAITING):
        ahead.expect(model(number))
    assert len(ahead._waiting) == MOST_WAITING

    async def dropped() -> bool:
        return not ahead._waiting

    async with running([ahead.run]):
        await until(dropped)


def test_what_it_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead_module, "MOST_REMEMBERED", 3)
    ahead = Ahead(connection_pool("redis://127.0.0.1:1/0", patient=False), Clock())
    for number in range(10):
        ahead.expect(model(number))
    assert len(ahead._told) == 3


async def test_typing_a_name_opening_a_form_and_seeing_a_result_tell_of_the_model(world: World) -> None:
    await trained(world, world.ada)
    await trained(world, world.ben, "secret")
    expected = world.queue.expected
    await world.deliver()
    assert set(expected) == {"rex", "secret"}  # their results invite to draw

    expected.clear()
    (result,) = [message for message in world.channel.history() if "rex" in words(message)]
    await world.ada.click(result, label="Imagine")
    assert expected == ["rex"]

    expected.clear()
    await world.ada.autocomplete(world.channel, "imagine", "model", "", prompt="x")
    assert not expected
    await world.ada.autocomplete(world.channel, "imagine", "model", "re", prompt="x")
    assert expected == ["rex"]
    await world.ada.autocomplete(world.channel, "imagine", "model", "secret", prompt="x")
    assert expected == ["rex"]
