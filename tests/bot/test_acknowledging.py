import asyncio
import time

from bot.acknowledging import Lull

BUSY_SECONDS = 0.003


async def burn(rounds: int, done: list[str] | None = None, word: str = "") -> None:
    """Keep the event loop busy, as signs to many people do."""
    for _ in range(rounds):
        until = time.perf_counter() + BUSY_SECONDS
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(0)
    if done is not None:
        done.append(word)


async def test_answers_wait_for_the_signs_that_others_wait_for() -> None:
    done: list[str] = []
    lull = Lull()

    async def answer(word: str) -> None:
        await lull()
        done.append(word)

    signs = [burn(5 + number, done, "sign") for number in range(4)]
    await asyncio.gather(answer("first"), answer("second"), *signs)
    assert done == ["sign", "sign", "sign", "sign", "first", "second"]


async def test_an_answer_waits_only_so_long() -> None:
    lull = Lull(most_seconds=0.05)
    async with asyncio.TaskGroup() as group:
        busy = group.create_task(burn(10_000))
        await asyncio.gather(lull(), lull())
        assert not busy.done()
        busy.cancel()


async def test_where_there_is_little_to_do_nobody_waits() -> None:
    lull, rounds = Lull(), 0

    async def count() -> None:
        nonlocal rounds
        while True:
            rounds += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        counting = group.create_task(count())
        await lull()
        counting.cancel()
    assert rounds < 100  # a round now and then is held up by the machine
