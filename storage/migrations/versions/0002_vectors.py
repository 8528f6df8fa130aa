"""User vectors by model version."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "vectors",
        sa.Column("user_key", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("version", Name, nullable=False),
        sa.Column("binding", Name, nullable=False),
        sa.Column("user_seq", sa.BigInteger, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("user_key", "version", name="pk_vectors"),
        sqlite_with_rowid=False,
    )
