"""Dead letters get a digest of position and payload, so that each is stored once."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column, NULL in older rows."""
    op.add_column("dead_letters", sa.Column("digest", sa.LargeBinary))
    op.create_index("ix_dead_letters_digest", "dead_letters", ["digest"], unique=True)
