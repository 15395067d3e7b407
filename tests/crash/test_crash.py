"""A short selection of what `python -m benchmarks.crash` does at length, with the engine's stand-in."""

from pathlib import Path

import pytest

from tests.crash.audit import audit_house
from tests.crash.house import open_house
from tests.crash.proof import caught
from tests.crash.run import play
from tests.crash.sabotage import SABOTAGES
from tests.crash.troubles import OFTEN, PROVOKED, Trouble, kinds, points, trouble_of

SELECTION = (
    Trouble(kind="point", what="outbox.enqueued", action="kill"),
    Trouble(kind="point", what="checkpoint.stored", action="kill", hit=2),
    Trouble(kind="point", what="delivery.posted", action="kill"),
    Trouble(kind="point", what="events.applied", action="kill", hit=3),
    Trouble(kind="point", what="event.ending", action="stop"),
    Trouble(kind="signal", what="worker", action="term", after_seconds=0.5),
    Trouble(kind="redis", what="kill and flush", after_seconds=0.4),
    Trouble(kind="discord", what="drop_after", hit=2, after_seconds=0.1),
)
SABOTAGED = ("no nonce", "no fence")
"""The others take longer: `python -m benchmarks.crash --sabotage` tries them all."""


def test_every_point_in_the_source_has_its_turn_and_none_is_made_up() -> None:
    known = set(points())
    assert len(known) > 30
    assert known >= OFTEN.keys() | PROVOKED.keys() | {sabotage.point for sabotage in SABOTAGES.values()}
    hit = {trouble_of(seed).what for seed in range(len(kinds()))}
    assert hit >= known


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_promise_is_kept_whatever_dies(tmp_path: Path) -> None:
    async with open_house(tmp_path / "house", None) as house:
        runs = [await play(house, seed, trouble) for seed, trouble in enumerate(SELECTION)]
        assert [str(run) for run in runs if run.problems or not run.reached] == []
        await house.stop()
        assert await audit_house(house) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_broken_promise_is_noticed() -> None:
    found = await caught(None, SABOTAGED)
    assert [name for name, problems in found.items() if not problems] == []
