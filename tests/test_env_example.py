"""`.env.example` says exactly what the settings classes say."""

import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from bot.settings import BotSettings
from gpu_worker.settings import WorkerSettings
from tools.env_example import render

EXAMPLE = Path(__file__).parents[1] / ".env.example"
CLASSES = [BotSettings, WorkerSettings]


def test_the_example_names_every_setting_with_its_comment_and_default() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == render(), "run: python -m tools.env_example > .env.example"


@pytest.mark.parametrize("settings", CLASSES)
def test_every_setting_has_a_comment(settings: type[BaseSettings]) -> None:
    assert [name for name, field in settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("settings", CLASSES)
def test_the_defaults_it_shows_load_and_change_nothing(
    settings: type[BaseSettings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    shown = re.findall(r"^#([A-Z_]+=.+)$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE)
    (tmp_path / "env").write_text("\n".join(shown), encoding="utf-8")
    assert len(shown) > 10
    assert settings(_env_file=tmp_path / "env") == settings(_env_file=None)


def test_what_both_sides_share_has_one_default() -> None:
    bot, worker = BotSettings.model_fields, WorkerSettings.model_fields
    differing = [name for name in bot if name in worker and bot[name].get_default() != worker[name].get_default()]
    assert differing == []
