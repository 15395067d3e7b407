"""Named points at which a test may end or freeze this process, to prove that nothing is lost there.

`DREAMBOT_FAULT` names a file. While that file exists and holds a plan, such as
`{"point": "outbox.enqueued", "action": "kill", "hit": 2}`, the process that comes to the point for the second time
takes the file away and does it to itself; so a plan works once, on whichever process is the first. Without the
variable a point is one comparison.
"""

import contextlib
import json
import os
import signal
from pathlib import Path

VARIABLE = "DREAMBOT_FAULT"
ACTIONS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "stop": signal.SIGSTOP}


class Plan:
    """What the file at `path` asks for, and how often this process has come to the point since it was written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hits: tuple[str, int] = ("", 0)

    def reached(self, point: str) -> None:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        wanted = json.loads(text)
        if wanted["point"] != point:
            return
        known, hits = self._hits
        self._hits = text, hits + 1 if text == known else 1
        if self._hits[1] == wanted["hit"]:
            self._strike(ACTIONS[wanted["action"]])

    def _strike(self, number: signal.Signals) -> None:
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            self._path.rename(self._path.with_name(f"{self._path.name}.{os.getpid()}"))
            os.kill(os.getpid(), number)


_plan = Plan(Path(os.environ[VARIABLE])) if os.environ.get(VARIABLE) else None


def reach(point: str) -> None:
    """Say that this process has come to `point`, a name that stands nowhere else in the source."""
    if _plan is not None:
        _plan.reached(point)
