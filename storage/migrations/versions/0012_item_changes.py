"""Item changes: the items that changed after a revision, and whether the change was one of content."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column and the index; of older items, every change counts as one of content."""
    op.add_column("items", sa.Column("content_revision", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE items SET content_revision = revision")
    op.create_index("ix_items_revision", "items", ["revision"])
