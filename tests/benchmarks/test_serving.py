"""Speed is not bought with other pictures: every side draws the same for everybody, and each person their own."""

import argparse
import json
from pathlib import Path

import pytest

from benchmarks import mixed, swap
from benchmarks.serving import SIDES, Bench, difference

pytestmark = pytest.mark.filterwarnings("ignore:Already found a `peft_config`:UserWarning")  # the peer's second adapter


@pytest.fixture
def arguments(base_folder: Path) -> argparse.Namespace:
    small = {"users": 3, "steps": 3, "rounds": 1, "pictures": 1, "train_steps": 5, "compile": False}
    return argparse.Namespace(base=str(base_folder), device="cpu", **small)


def test_all_sides_draw_the_same_pictures(arguments: argparse.Namespace, tmp_path: Path) -> None:
    bench = Bench(arguments, tmp_path)
    drawn = {name: bench.side(name)() for name in SIDES}
    ours, latencies = drawn["ours"]
    assert len(ours) == len(latencies) == 3
    for name in SIDES[1:]:
        assert difference(ours, drawn[name][0]) <= 1.5 / 255
    assert difference(ours, [*ours[1:], ours[0]]) > 0.05


def test_swap_and_mixed_print_what_they_measured(arguments: argparse.Namespace) -> None:
    """What the figures are is the machine's matter: a busy one makes any of them."""
    assert json.loads(json.dumps(swap.measure(arguments)))["ratio"] > 0
    found = mixed.measure(arguments)
    assert found["first_step_ms"].keys() == {"idle", "training"}
    assert found["train_steps_lost_share"] < 1
