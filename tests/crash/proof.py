"""Does the harness notice? It plays runs in which a promise is broken on purpose (see `sabotage`)."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.crash.house import open_house
from tests.crash.run import play
from tests.crash.sabotage import SABOTAGES
from tests.crash.troubles import Trouble

PATIENCE_SECONDS = 25.0
"""How long a job may take here before it counts as lost: several times what it takes when nothing is broken."""


async def caught(base: Path | None, names: Sequence[str] = tuple(SABOTAGES)) -> dict[str, list[str]]:
    """Play a run with each promise broken; returns what was noticed, by the sabotage's name."""
    found = {}
    for name in names:
        made = SABOTAGES[name]
        with tempfile.TemporaryDirectory(prefix="crash-") as folder:
            async with open_house(Path(folder), base, sabotage=name) as house:
                trouble = Trouble(kind="point", what=made.point, action=made.action, hit=made.hit)
                found[name] = (await play(house, 0, trouble, PATIENCE_SECONDS)).problems
    return found
