"""Events that were undone: a redelivery changes nothing. The writer of erasures becomes that of all corrections."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create the table, and rename the writer."""
    op.create_table(
        "undone_events",
        sa.Column("event_key", sa.LargeBinary, nullable=False),
        sa.Column("user_key", sa.BigInteger, nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("event_key", name="pk_undone_events"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_undone_events_user_key", "undone_events", ["user_key"])
    op.execute("UPDATE writer_offsets SET stream = 'corrections' WHERE stream = 'erasures'")
