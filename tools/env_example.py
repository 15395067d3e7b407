"""Writes `.env.example` from the settings classes, so that it never tells of a setting that does not exist.

Run as `python -m tools.env_example > .env.example`.
"""

import sys

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from bot.settings import BotSettings
from gpu_worker.settings import WorkerSettings

HEADER = """\
# Copy this file to .env, take the # away from what you set, and put your value there. Only DISCORD_TOKEN must be set.
# Each line shows its default; nothing after the = means that there is none.
"""


def render() -> str:
    """Write every setting of the bot and of the worker: its comment, its name, its default."""
    bot, worker = BotSettings.model_fields, WorkerSettings.model_fields
    shared = [name for name in bot if name in worker]
    sections = {
        "The bot alone": {name: field for name, field in bot.items() if name not in shared},
        "The bot and its workers; both must say the same": {name: bot[name] for name in shared},
        "A worker alone": {name: field for name, field in worker.items() if name not in shared},
    }
    return "\n".join([HEADER, *(_section(title, fields) for title, fields in sections.items())])


def _section(title: str, fields: dict[str, FieldInfo]) -> str:
    return f"\n## {title}\n\n" + "\n".join(_setting(name, field) for name, field in fields.items())


def _setting(name: str, field: FieldInfo) -> str:
    default = None if field.default_factory else field.get_default()
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return f"# {field.description}\n#{name.upper()}={'' if default is None else default}\n"


if __name__ == "__main__":
    sys.stdout.write(render())
