"""Messages in the language that people and servers have chosen."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("jobs", "intakes"):
        with op.batch_alter_table(table) as rows:
            rows.add_column(sa.Column("locale", sa.String(16), nullable=True))
