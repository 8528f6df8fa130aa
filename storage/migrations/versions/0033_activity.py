"""Activity: latencies of the last hour, counted by all API processes together."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "activity_counts",
        sa.Column("start_ms", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("kind", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("bucket", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("num", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("start_ms", "kind", "bucket", name="pk_activity_counts"),
        sqlite_with_rowid=False,
    )
