"""The lag of each partition over time."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"

Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "partition_lags",
        sa.Column("bucket_ms", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("stream", Name, nullable=False),
        sa.Column("partition", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("lag", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("bucket_ms", "stream", "partition", name="pk_partition_lags"),
        sqlite_with_rowid=False,
    )
