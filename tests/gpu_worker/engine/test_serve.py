"""The engine as the worker starts it: a process with frames on its pipes."""

import subprocess
import sys
from pathlib import Path

import pytest

from gpu_worker import pipe
from gpu_worker.engine.serve import read_exactly
from storage.contract import ImagineRequest

ROOT = Path(__file__).parents[3]


def start(base: Path, cache: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gpu_worker.engine", "serve", "--base", str(base), "--device", "cpu"]
    command += ["--cache", str(cache), "--threads", "1"]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)


def reports(engine: subprocess.Popen[bytes]) -> list[pipe.Report]:
    """Read what the engine says until it ends."""
    assert engine.stdout is not None
    said = []
    while header := read_exactly(engine.stdout, pipe.HEADER.size):  # type: ignore[arg-type]
        (length,) = pipe.HEADER.unpack(header)
        said.append(pipe.REPORT.validate_json(read_exactly(engine.stdout, length)))  # type: ignore[arg-type]
    return said


@pytest.mark.timeout(300)
def test_it_serves_until_its_input_ends_and_keeps_its_output_clean(base_folder: Path, tmp_path: Path) -> None:
    job = "a" * 32
    request = ImagineRequest(job=job, attempt=1, base="tiny", prompt="a dog", seed=1, steps=2)
    with start(base_folder, tmp_path) as engine:
        assert engine.stdin is not None
        engine.stdin.write(pipe.encode(pipe.Imagine(request=request, folder=tmp_path)))
        assert engine.stdout is not None
        said: list[pipe.Report] = []
        (length,) = pipe.HEADER.unpack(read_exactly(engine.stdout, pipe.HEADER.size))  # type: ignore[arg-type]
        said.append(pipe.REPORT.validate_json(read_exactly(engine.stdout, length)))  # type: ignore[arg-type]
        engine.terminate()  # as a service manager does to every process of a service; the parent decides
        while not said or not isinstance(said[-1], pipe.ImaginingDone):
            (length,) = pipe.HEADER.unpack(read_exactly(engine.stdout, pipe.HEADER.size))  # type: ignore[arg-type]
            said.append(pipe.REPORT.validate_json(read_exactly(engine.stdout, length)))  # type: ignore[arg-type]
        engine.stdin.close()  # as if the parent had died
        assert all(isinstance(report, pipe.Status) for report in reports(engine))
    assert engine.returncode == 0
    ready = said[0]
    assert isinstance(ready, pipe.Ready)
    assert (ready.device, ready.resolution) == ("cpu", 32)


@pytest.mark.timeout(300)
def test_a_frame_that_is_no_order_ends_it(base_folder: Path, tmp_path: Path) -> None:
    with start(base_folder, tmp_path) as engine:
        assert engine.stdin is not None
        engine.stdin.write(pipe.HEADER.pack(2) + b"{}")
        said = reports(engine)
    assert engine.returncode == 0
    assert [type(report) for report in said] == [pipe.Ready, pipe.Status]


def test_help_says_what_it_can_do_without_loading_anything() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "gpu_worker.engine", "train", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--photos" in done.stdout
    assert "--learning-rate" in done.stdout
    assert "| torch\n" not in done.stderr
