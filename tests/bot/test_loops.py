import asyncio
import contextlib

import pytest

from bot.loops import Wake, forever


async def test_a_rest_ends_by_news_or_by_time() -> None:
    wake = Wake(60)
    wake()
    async with asyncio.timeout(5):
        await wake.rest()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await wake.rest()
    await Wake(0.01).rest()


async def test_news_that_come_close_together_share_a_round() -> None:
    wake, clock = Wake(60, apart=0.2), asyncio.get_running_loop().time
    wake()
    began = clock()
    await wake.rest()
    assert clock() - began < 0.1  # the first is not held up

    for _ in range(3):
        wake()
    await wake.rest()
    assert clock() - began > 0.15
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wake.rest(), 0.3)


async def test_what_fails_is_logged_and_done_again(caplog: pytest.LogCaptureFixture) -> None:
    outcomes = iter([ConnectionError("the password"), ConnectionError("the password"), KeyError("bug"), None])
    done = asyncio.Event()

    async def work() -> None:
        if (outcome := next(outcomes)) is not None:
            raise outcome
        done.set()

    async def rest() -> None:
        await asyncio.Event().wait()

    caplog.set_level("INFO")
    task = asyncio.ensure_future(forever("the work", work, rest))
    async with asyncio.timeout(20):
        await done.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["the work: waiting for ConnectionError", "the work failed", "the work: working again"]
    assert "the password" not in caplog.text
