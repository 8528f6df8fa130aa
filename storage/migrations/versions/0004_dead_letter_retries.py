"""Dead letters count failed retries."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column."""
    op.add_column("dead_letters", sa.Column("num_retries", sa.Integer, nullable=False, server_default="0"))
