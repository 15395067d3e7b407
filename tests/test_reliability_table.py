"""The tables of the docs name a test for each case: they exist, and no case is without one."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TABLE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
ROWS = [line for line in TABLE.splitlines() if re.match(r"\| (?!case |what \|)", line)]
DEFINED = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^(?:async )?def (test_\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
}


FEATURES = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")


def test_every_feature_that_is_there_names_a_test_that_exists() -> None:
    rows = [row for row in FEATURES.splitlines() if re.match(r"\| (?!feature )", row)]
    there = [row for row in rows if re.match(r"\|[^|]*\| (?:yes|partly)", row)]
    assert len(there) > 25
    assert [row for row in there if not re.search(r"`test_\w+`", row)] == []
    assert set(re.findall(r"`(test_\w+)`", FEATURES)) - DEFINED == set()


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TABLE))
    assert len(named) > 80
    assert named - DEFINED == set()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip())
def test_every_case_names_a_test(row: str) -> None:
    assert re.search(r"`test_\w+`", row.split("|")[-2])
