"""Segments of users: every change is a revision."""

import sqlalchemy as sa
from alembic import op

Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "segment_revisions",
        sa.Column("revision", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("definition", sa.Text),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_segment_revisions"),
    )
    op.create_index("ix_segment_revisions_name_revision", "segment_revisions", ["name", "revision"])
