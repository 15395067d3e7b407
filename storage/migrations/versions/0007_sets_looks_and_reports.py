"""Pictures asked for together, looks of servers, reports, people's defaults; models to share and to take back."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sets",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("words", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_sets_job_id_jobs"),
        sa.PrimaryKeyConstraint("job_id", name="pk_sets"),
    )
    op.create_table(
        "companions",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("lead_id", sa.String(length=32), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_companions_job_id_jobs"),
        sa.ForeignKeyConstraint(["lead_id"], ["jobs.id"], name="fk_companions_lead_id_jobs"),
        sa.PrimaryKeyConstraint("job_id", name="pk_companions"),
    )
    op.create_index("ix_companions_lead_id", "companions", ["lead_id"])
    op.create_table(
        "looks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("name_key", sa.String(length=128), nullable=False),
        sa.Column("words", sa.String(length=300), nullable=False),
        sa.Column("negative", sa.String(length=300), nullable=False),
        sa.Column("author_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_looks"),
        sa.UniqueConstraint("guild_id", "name_key", name="uq_looks_guild_id_name_key"),
    )
    op.create_table(
        "reports",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("reporter_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_reports_job_id_jobs"),
        sa.PrimaryKeyConstraint("job_id", "reporter_id", name="pk_reports"),
    )
    op.create_index("ix_reports_at", "reports", ["at"])
    op.create_table(
        "shares",
        sa.Column("model_id", sa.String(length=32), nullable=False),
        sa.Column("person_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_shares_model_id_models"),
        sa.PrimaryKeyConstraint("model_id", "person_id", name="pk_shares"),
    )
    op.create_index("ix_shares_person_id", "shares", ["person_id"])
    op.create_table(
        "command_lists",
        sa.Column("place", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("ids", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("place", name="pk_command_lists"),
    )
    with op.batch_alter_table("owners") as owners:
        owners.add_column(sa.Column("defaults", sa.JSON(), nullable=True))
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("parent_id", sa.String(length=32), nullable=True))
        jobs.add_column(sa.Column("look", sa.String(length=32), nullable=True))
    with op.batch_alter_table("models") as models:
        models.add_column(sa.Column("erase_at", sa.DateTime(timezone=True), nullable=True))
        models.add_column(sa.Column("public_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_models_erase_at", "models", ["erase_at"])
    op.create_index("ix_models_public_at", "models", ["public_at"])
