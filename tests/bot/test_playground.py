from pathlib import Path

import pytest

from bot.playground.__main__ import IN_USE, main
from storage.database_lock import hold


def test_a_second_demo_leaves_the_first_one_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "result.json").write_text("{}", encoding="utf-8")
    with hold(tmp_path / "state"):
        assert main(["--once", "--folder", str(tmp_path)]) == IN_USE
    assert "Another demo runs in" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"state", "state.lock", "result.json"}
