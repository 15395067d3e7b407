"""Alembic runs this file for each command; `storage.migrations.upgrade` hands it the connection."""

from alembic import context
from sqlalchemy import Connection

from storage.schema import Base


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        compare_type=True,
        transaction_per_migration=False,
    )
    context.run_migrations()
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise RuntimeError(f"the migration leaves {len(broken)} rows that point at nothing")


def print_sql() -> None:
    """Write the statements instead of running them (`alembic upgrade --sql`)."""
    context.configure(
        target_metadata=Base.metadata, render_as_batch=True, literal_binds=True, **context.config.attributes
    )
    context.run_migrations()


if context.is_offline_mode():
    print_sql()
else:
    migrate(context.config.attributes["connection"])
