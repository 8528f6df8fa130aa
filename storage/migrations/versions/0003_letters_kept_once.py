"""Dead letters get a digest of where they come from and what they say, so that none is kept twice."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add it; older letters go without."""
    op.add_column("dead_letters", sa.Column("digest", sa.LargeBinary))
    op.create_index("ix_dead_letters_digest", "dead_letters", ["digest"], unique=True)
