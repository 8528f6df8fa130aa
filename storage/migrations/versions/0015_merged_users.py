"""Users merged into others: their ids stay, as names of the other user."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the column, and an index of the few rows that use it."""
    op.add_column("users", sa.Column("merged_into", sa.BigInteger))
    merged = sa.text("merged_into IS NOT NULL")
    op.create_index("ix_users_merged_into", "users", ["merged_into"], sqlite_where=merged, postgresql_where=merged)
