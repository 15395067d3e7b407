"""What jobs take from their owners' quotas, and where messages go when their channel is gone."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "charges",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("refunded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_charges_job_id_jobs"),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_charges_owner_id_owners"),
        sa.PrimaryKeyConstraint("job_id", name="pk_charges"),
    )
    op.create_index("ix_charges_owner_id_kind_at", "charges", ["owner_id", "kind", "at"], unique=False)
    _charge_known_jobs()
    with op.batch_alter_table("owners") as owners:
        owners.add_column(sa.Column("direct_messages", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("deliveries", table_kwargs={"sqlite_autoincrement": True}) as deliveries:
        deliveries.add_column(sa.Column("problem", sa.String(length=32), nullable=True))
        deliveries.add_column(sa.Column("direct", sa.Boolean(), nullable=False, server_default=sa.false()))


def _charge_known_jobs() -> None:
    """Charge the jobs that are there already as if they came today's way."""
    jobs = sa.table(
        "jobs",
        *(sa.column(name) for name in ("id", "owner_id", "kind", "created_at", "finished_at", "started_at")),
        *(sa.column(name) for name in ("state", "failure")),
        sa.column("request", sa.JSON()),
    )
    amount = sa.case((jobs.c.kind == "train", 1), else_=jobs.c.request["count"].as_integer())
    ours = sa.and_(jobs.c.state == "failed", jobs.c.failure != "unsafe")
    unbegun = sa.and_(jobs.c.state == "cancelled", jobs.c.started_at.is_(None))
    refunded_at = sa.case((sa.or_(ours, unbegun), jobs.c.finished_at), else_=sa.null())
    known = sa.select(jobs.c.id, jobs.c.owner_id, jobs.c.kind, amount, jobs.c.created_at, refunded_at)
    charges = sa.table(
        "charges",
        *(sa.column(name) for name in ("job_id", "owner_id", "kind", "amount", "at")),
        sa.column("refunded_at"),
    )
    op.execute(sa.insert(charges).from_select(["job_id", "owner_id", "kind", "amount", "at", "refunded_at"], known))
