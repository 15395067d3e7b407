"""`make bench` runs what is there and writes down what it printed."""

import subprocess
from pathlib import Path

import pytest

from benchmarks import __main__ as bench

BENCHMARK = '''"""How fast nothing is.

More words.
"""

print("a line on the way")
print('{"device": "cpu", "ours": {"ms": 0.123456, "note": null}}')
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.setattr(bench, "FOLDER", folder)
    monkeypatch.setattr(bench, "REPORT", tmp_path / "benchmarks.md")
    return folder


def test_the_report_tells_what_each_benchmark_printed_last(folder: Path, tmp_path: Path) -> None:
    (folder / "nothing.py").write_text(BENCHMARK, encoding="utf-8")
    bench.main()
    report = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert "## nothing\n\nHow fast nothing is.\n\n" in report
    assert "| device | cpu |\n| ours.ms | 0.1235 |\n| ours.note | null |" in report


def test_a_benchmark_that_fails_leaves_no_report(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.py").write_text("raise SystemExit(3)", encoding="utf-8")
    with pytest.raises(subprocess.CalledProcessError):
        bench.main()
    assert not (tmp_path / "benchmarks.md").exists()
