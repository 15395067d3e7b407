"""The lease after an absence: who may take it again, and who has to let go."""

from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from gpu_worker import claim as claims
from gpu_worker.claim import Claim, Unwanted
from storage.contract import lease_key, request_key

JOB = "a" * 32
Away = Callable[[float], None]


@pytest.fixture
def be_away(monkeypatch: pytest.MonkeyPatch) -> Away:
    """Let time pass for the claim alone, as it does for a frozen process when it wakes."""
    passed, real_now = [0.0], claims._now
    monkeypatch.setattr(claims, "_now", lambda: real_now() + passed[0])

    def away(seconds: float) -> None:
        passed[0] += seconds

    return away


async def held(redis: Redis) -> Claim:
    await redis.set(request_key(JOB, 1), "{}")
    claim = Claim(
        redis,
        JOB,
        1,
        holder="green-0000",
        lease_seconds=30,
        renew_seconds=10,
        limit_seconds=1000,
        on_unwanted=lambda: None,
    )
    assert await claim.take()
    return claim


async def test_in_time_nobody_is_asked(redis: Redis) -> None:
    claim = await held(redis)
    await redis.flushall()
    assert await claim.holds()
    assert not await redis.exists(lease_key(JOB, 1))


async def test_a_lease_that_redis_forgot_is_taken_again(redis: Redis, be_away: Away) -> None:
    claim = await held(redis)
    await redis.flushall()
    be_away(15)
    await claim._renew(10)
    assert claim.unwanted is None
    assert await redis.get(lease_key(JOB, 1)) == b"green-0000"


async def test_a_lease_that_ran_out_is_taken_again_while_the_attempt_is_wanted(redis: Redis, be_away: Away) -> None:
    claim = await held(redis)
    await redis.delete(lease_key(JOB, 1))
    be_away(60)
    assert await claim.holds()
    assert await redis.get(lease_key(JOB, 1)) == b"green-0000"


@pytest.mark.parametrize("by", ["the bot", "another worker", "a later attempt"])
async def test_after_an_absence_the_attempt_may_be_lost(redis: Redis, be_away: Away, by: str) -> None:
    claim = await held(redis)
    await redis.delete(lease_key(JOB, 1))
    match by:
        case "the bot":  # which gave it up; the attempt after it may be done long since
            await redis.delete(request_key(JOB, 1))
        case "another worker":
            await redis.set(lease_key(JOB, 1), "blue-0000")
        case "a later attempt":
            await redis.set(request_key(JOB, 2), "{}")
    be_away(60)
    assert not await claim.holds()
    assert claim.unwanted is Unwanted.LOST
    if by == "another worker":
        assert await redis.get(lease_key(JOB, 1)) == b"blue-0000"
