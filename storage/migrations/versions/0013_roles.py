"""Models that are shared with the roles of a server."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "role_shares",
        sa.Column("model_id", sa.String(length=32), nullable=False),
        sa.Column("role_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_role_shares_model_id_models"),
        sa.PrimaryKeyConstraint("model_id", "role_id", name="pk_role_shares"),
    )
    op.create_index("ix_role_shares_role_id", "role_shares", ["role_id"])
