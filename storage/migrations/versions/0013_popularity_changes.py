"""Popularity changes: a log of the items whose popularity changed, which readers follow."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "popularity_changes",
        sa.Column("key", Key, sa.Identity(), nullable=False),
        sa.Column("writer_key", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_popularity_changes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_popularity_changes_writer_key_key", "popularity_changes", ["writer_key", "key"])
