"""How confident the model was of what it ranked first, of each scored event."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Add the column; events that are scored already have none."""
    op.add_column("drift_scores", sa.Column("confidence", sa.Double))
