"""Drift alarms have an interval and an end. Alarms of before are over: the detectors that raised them are gone."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the columns, with an empty interval where none was computed."""
    for name in ("low", "high"):
        op.add_column("drift_alarms", sa.Column(name, sa.Double, nullable=False, server_default="0"))
    op.add_column("drift_alarms", sa.Column("over_ms", sa.BigInteger))
    op.add_column("drift_alarms", sa.Column("ending", sa.Text))
    op.execute("UPDATE drift_alarms SET low = after, high = after, over_ms = detected_ms, ending = 'new normal'")
