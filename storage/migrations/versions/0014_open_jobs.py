"""Indices of jobs by which SQLite finds them with and without statistics: a person's, a kind's, and those not ended.

One that began with the state was taken for a person's jobs where there were no statistics, and with them for nothing,
because nearly all jobs have one state.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

OPEN = sa.text("finished_at IS NULL")


def upgrade() -> None:
    op.create_index("ix_jobs_owner_id_created_at", "jobs", ["owner_id", "created_at"])
    op.create_index("ix_jobs_kind_created_at", "jobs", ["kind", "created_at"])
    op.create_index("ix_jobs_open", "jobs", ["kind", "created_at"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.drop_index("ix_jobs_state_kind_created_at", "jobs")
    op.drop_index("ix_jobs_owner_id", "jobs")
