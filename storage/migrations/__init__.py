"""The schema's history, one file of `versions` a step, applied in order by Alembic.

A step is never edited after a release: a later one corrects it. The tests compare the last step with `storage.schema`.
"""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def configuration() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the schema to `revision` within the caller's transaction: all of it happens, or nothing."""
    if revision == "head" and MigrationContext.configure(connection).get_current_revision() == _head():
        return  # what Alembic does beside its steps takes a start's time, most of all the check of a large database
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


@cache
def _head() -> str | None:
    return ScriptDirectory.from_config(configuration()).get_current_head()
