from types import SimpleNamespace
from typing import Any

import discord
import pytest

from bot.refusals import LONGEST_PAUSE, Refusal, asked_pause, pause, read_refusal


def error(status: int, code: int = 0, headers: dict[str, str] | None = None) -> discord.HTTPException:
    response: Any = SimpleNamespace(status=status, reason="refused", headers=headers or {})
    return discord.HTTPException(response, {"code": code, "message": "refused"})


@pytest.mark.parametrize(
    ("status", "code", "refusal"),
    [
        (500, 0, Refusal.LATER),
        (503, 0, Refusal.LATER),
        (503, 130000, Refusal.LATER),
        (429, 20028, Refusal.LATER),
        (429, 0, Refusal.HOLD),
        (401, 0, Refusal.HOLD),
        (403, 0, Refusal.HOLD),
        (413, 0, Refusal.TOO_LARGE),
        (400, 40005, Refusal.TOO_LARGE),
        (400, 30046, Refusal.REPLACE),
        (400, 50083, Refusal.REPLACE),
        (404, 10003, Refusal.CLOSED),
        (404, 10008, Refusal.CLOSED),
        (403, 50001, Refusal.CLOSED),
        (403, 50013, Refusal.CLOSED),
        (403, 50007, Refusal.CLOSED),
        (400, 160005, Refusal.CLOSED),
        (400, 50035, Refusal.WRONG),
        (400, 200000, Refusal.FILTERED),
        (403, 240000, Refusal.FILTERED),
    ],
)
def test_what_each_refusal_means(status: int, code: int, refusal: Refusal) -> None:
    assert read_refusal(error(status, code)) is refusal


def test_pauses_grow_to_five_minutes_and_differ() -> None:
    for failures in range(40):
        longest = min(2.0 * 2**failures, LONGEST_PAUSE)
        assert longest / 2 <= pause(failures) <= longest
    assert len({pause(30) for _ in range(10)}) > 1


@pytest.mark.parametrize(("said", "least"), [("90", 90.0), ("", 1.0), ("Sun, 22 Nov 2026 21:00:00 GMT", 1.0)])
def test_waits_as_long_as_discord_asks(said: str, least: float) -> None:
    assert asked_pause(error(429, headers={"Retry-After": said}), 0) >= least
