"""What else a training has found: variants to choose from, what their pictures show, and a class that does not fit."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "variants",
        sa.Column("model_id", sa.String(length=32), nullable=False),
        sa.Column("variant", sa.String(length=32), nullable=False),
        sa.Column("adapter_key", sa.String(length=200), nullable=False),
        sa.Column("adapter_digest", sa.String(length=64), nullable=False),
        sa.Column("adapter_bytes", sa.BigInteger(), nullable=False),
        sa.Column("download_key", sa.String(length=200), nullable=False),
        sa.Column("download_digest", sa.String(length=64), nullable=False),
        sa.Column("cover_key", sa.String(length=200), nullable=True),
        sa.Column("subject_score", sa.Double(), nullable=True),
        sa.Column("findings", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_variants_model_id_models"),
        sa.PrimaryKeyConstraint("model_id", "variant", name="pk_variants"),
    )
    with op.batch_alter_table("models") as models:
        models.add_column(sa.Column("findings", sa.JSON(), nullable=True))
        models.add_column(sa.Column("photo_flaws", sa.JSON(), nullable=True))
        models.add_column(sa.Column("variant", sa.String(length=32), nullable=False, server_default="best"))
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("seen_class", sa.String(length=64), nullable=True))
    with op.batch_alter_table("images") as images:
        images.add_column(sa.Column("variant", sa.String(length=32), nullable=False, server_default="best"))
