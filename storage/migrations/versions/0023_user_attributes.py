"""Attributes of users."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "user_attributes",
        sa.Column("user_key", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("user_key", name="pk_user_attributes"),
        sqlite_with_rowid=False,
    )
