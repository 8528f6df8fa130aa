"""Sums of event counts by hour and by day, so that long periods are read from few rows."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"

FILL = sa.text(
    "INSERT INTO event_count_rollups (step_ms, start_ms, writer_key, type_code, num) "
    "SELECT :step_ms, bucket_ms - bucket_ms % :step_ms AS start_ms, writer_key, type_code, sum(num) FROM event_counts "
    "GROUP BY start_ms, writer_key, type_code"
)
STEPS_MS = (3_600_000, 86_400_000)


def upgrade() -> None:
    """Create the table and fill it from the counts of the buckets."""
    op.create_table(
        "event_count_rollups",
        sa.Column("step_ms", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("start_ms", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("writer_key", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("type_code", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("num", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("step_ms", "start_ms", "writer_key", "type_code", name="pk_event_count_rollups"),
        sqlite_with_rowid=False,
    )
    for step_ms in STEPS_MS:
        op.execute(FILL.bindparams(sa.bindparam("step_ms", step_ms, sa.BigInteger)))
