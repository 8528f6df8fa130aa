"""Item transitions: the items just before each event. `tidewise rebuild` computes those of stored events."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table; a database with events needs a rebuild before it serves again."""
    op.create_table(
        "transitions",
        sa.Column("key", Key, sa.Identity(), nullable=False),
        sa.Column("writer_key", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_transitions"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_transitions_writer_key_key", "transitions", ["writer_key", "key"])
    op.execute(
        "INSERT INTO meta (name, value) SELECT 'transitions', 'not counted' WHERE EXISTS (SELECT 1 FROM interactions)"
    )
