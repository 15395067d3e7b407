"""Messages whose fate is unknown, messages that replace older ones, and prompts that age away."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("deliveries", table_kwargs={"sqlite_autoincrement": True}) as deliveries:
        deliveries.add_column(sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True))
        deliveries.add_column(sa.Column("posted_at", sa.DateTime(timezone=True), nullable=True))
        deliveries.add_column(sa.Column("posts", sa.BigInteger(), nullable=False, server_default="0"))
        deliveries.add_column(sa.Column("replaces", sa.BigInteger(), nullable=True))
    op.execute("UPDATE deliveries SET posted_at = updated_at WHERE message_id IS NOT NULL")
    op.execute(sa.text("UPDATE deliveries SET dirty = :owed WHERE state = 'pending'").bindparams(owed=True))
    op.execute(sa.text("UPDATE deliveries SET dirty = :owed WHERE state = 'undeliverable'").bindparams(owed=False))
    op.drop_index("ix_deliveries_state_not_before", table_name="deliveries")
    op.create_index("ix_deliveries_dirty_not_before", "deliveries", ["dirty", "not_before"], unique=False)
    op.create_index(
        "ix_jobs_prompts",
        "jobs",
        ["state", "finished_at"],
        unique=False,
        sqlite_where=sa.text("prompt_shown IS NOT NULL"),
        postgresql_where=sa.text("prompt_shown IS NOT NULL"),
    )
    op.execute(
        "DELETE FROM outbox WHERE job_id IN (SELECT id FROM jobs WHERE state IN ('succeeded', 'failed', 'cancelled'))"
    )
