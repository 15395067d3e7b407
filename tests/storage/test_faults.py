"""Fault points strike once where a plan says so, and nowhere else."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from storage.faults import VARIABLE

PROGRAM = """
from storage.faults import reach
for n in range(3):
    reach("here")
    reach("there")
    print(n, flush=True)
"""


def run(plan: Path | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if plan is not None:
        environment[VARIABLE] = str(plan)
    return subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)


def test_points_do_nothing_unless_a_plan_is_named(tmp_path: Path) -> None:
    assert run(None).returncode == 0
    assert run(tmp_path / "no plan").returncode == 0


def test_a_plan_strikes_at_its_point_and_hit_and_only_once(tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    plan.write_text(json.dumps({"point": "there", "action": "kill", "hit": 2}), encoding="utf-8")

    struck, later = run(plan), run(plan)

    assert (struck.returncode, struck.stdout) == (-signal.SIGKILL, "0\n")
    assert later.returncode == 0
    assert not plan.exists()
    assert len(list(tmp_path.glob("plan.*"))) == 1


def test_a_process_may_be_ended_in_order(tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    plan.write_text(json.dumps({"point": "here", "action": "term", "hit": 1}), encoding="utf-8")
    assert run(plan).returncode == -signal.SIGTERM
