"""API keys with names and scopes."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add the table."""
    name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "api_keys",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("name", name, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_ms", sa.BigInteger),
        sa.Column("max_per_s", sa.Double),
        sqlite_with_rowid=False,
    )
