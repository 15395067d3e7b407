"""Pictures of two models' subjects."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "second_subjects",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("model_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_second_subjects_job_id_jobs"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_second_subjects_model_id_models"),
        sa.PrimaryKeyConstraint("job_id", name="pk_second_subjects"),
    )
    op.create_index("ix_second_subjects_model_id", "second_subjects", ["model_id"])
