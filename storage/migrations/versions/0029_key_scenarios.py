"""The scenarios that an API key is limited to."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Add the column."""
    op.add_column("api_keys", sa.Column("scenarios", sa.Text, nullable=False, server_default="[]"))
