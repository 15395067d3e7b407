"""What a GPU would be measured with runs from end to end, at a size for which none is needed."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import ahead, roofline
from benchmarks.__main__ import FOLDER


def test_the_work_is_counted_and_held_against_a_matrix_product(base_folder: Path) -> None:
    found = roofline.measure(argparse.Namespace(base=str(base_folder), device="cpu", batch=2, pictures=2, rounds=1))
    image, step = found["image"], found["train_step"]
    assert found["measured_peak_tflops"] > 0
    assert 0 < image["share_of_peak"] < 1
    assert 0 < step["share_of_peak"] < 1
    twice = roofline.measure(argparse.Namespace(base=str(base_folder), device="cpu", batch=4, pictures=4, rounds=1))
    assert twice["image"]["tflop"] == pytest.approx(2 * image["tflop"], rel=0.01)
    assert twice["train_step"]["tflop"] == pytest.approx(2 * step["tflop"], rel=0.01)
    assert step["tflop"] > 2 * image["tflop"]  # as many rows, and a backward pass


def test_what_is_fetched_ahead_is_there_sooner(base_folder: Path) -> None:
    found = ahead.measure(argparse.Namespace(base=str(base_folder), device="cpu", people=3, store_ms=100.0))
    assert found["cold_ms"] - found["ahead_ms"] > 80


def test_one_command_measures_and_says_what_failed(base_folder: Path, tmp_path: Path) -> None:
    small = {"BASE": str(base_folder), "ROUNDS": "1", "ONLY": "nothing swap", "DEVICE": "cpu", "LIMIT": "300"}
    out = {"PYTHON": sys.executable, "OUT": str(tmp_path / "out" / "gpu.jsonl")}
    ended = subprocess.run([FOLDER / "gpu.sh"], env=os.environ | small | out, stdout=subprocess.PIPE, text=True)
    failed, swapped = (json.loads(line) for line in ended.stdout.splitlines())
    assert (failed["benchmark"], failed["failed"], ended.returncode) == ("nothing", True, 1)
    assert (swapped["benchmark"], swapped["device"]) == ("swap", "cpu")
    assert (tmp_path / "out" / "gpu.jsonl").read_text(encoding="utf-8") == ended.stdout
