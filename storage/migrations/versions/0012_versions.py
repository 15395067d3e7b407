"""Models that were trained more than once: each training is a version, to choose from."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

FILES = (
    "adapter_key", "adapter_digest", "adapter_bytes", "download_key", "download_digest", "cover_key", "subject_score",
    "findings",
)  # fmt: skip
TRAINED_BY = """(
    SELECT jobs.id FROM jobs WHERE jobs.model_id = models.id AND jobs.kind = 'train' AND jobs.state = 'succeeded'
    ORDER BY jobs.created_at DESC LIMIT 1
)"""


def upgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("photo_flaws", sa.JSON(), nullable=True))
    op.create_table(
        "versions",
        sa.Column("model_id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("variant", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("adapter_key", sa.String(length=200), nullable=False),
        sa.Column("adapter_digest", sa.String(length=64), nullable=False),
        sa.Column("adapter_bytes", sa.BigInteger(), nullable=False),
        sa.Column("download_key", sa.String(length=200), nullable=False),
        sa.Column("download_digest", sa.String(length=64), nullable=False),
        sa.Column("cover_key", sa.String(length=200), nullable=True),
        sa.Column("subject_score", sa.Double(), nullable=True),
        sa.Column("findings", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_versions_model_id_models"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_versions_job_id_jobs"),
        sa.PrimaryKeyConstraint("model_id", "version", "variant", name="pk_versions"),
    )
    names = ", ".join(("model_id", "version", "job_id", "variant", *FILES))
    chosen = ", ".join(("variants.variant", *(f"variants.{name}" for name in FILES)))
    only = ", ".join(("'best'", *(f"models.{name}" for name in FILES)))
    op.execute(
        f"INSERT INTO versions ({names}) SELECT models.id, models.version, {TRAINED_BY}, {chosen} "  # noqa: S608
        f"FROM variants JOIN models ON models.id = variants.model_id WHERE {TRAINED_BY} IS NOT NULL"
    )
    op.execute(
        f"INSERT INTO versions ({names}) SELECT models.id, models.version, {TRAINED_BY}, {only} FROM models "  # noqa: S608
        f"WHERE models.adapter_key IS NOT NULL AND {TRAINED_BY} IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM variants WHERE variants.model_id = models.id)"
    )
    op.drop_table("variants")
