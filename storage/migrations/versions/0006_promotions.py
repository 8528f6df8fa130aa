"""Promotions: which model served when, and who decided it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "promotions",
        sa.Column("key", Key, sa.Identity(), nullable=False),
        sa.Column("version", Name, nullable=False),
        sa.Column("previous", Name),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_promotions"),
    )
