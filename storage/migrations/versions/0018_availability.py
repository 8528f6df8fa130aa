"""Availability of items: limits in time, and stock."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add the columns: NULL is no limit."""
    for name in ("available_from_ms", "available_until_ms", "stock"):
        op.add_column("items", sa.Column(name, sa.BigInteger))
