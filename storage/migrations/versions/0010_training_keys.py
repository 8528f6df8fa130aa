"""Plain names for what the metadata keeps about trainings."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

RENAMED = {
    "learn.job": "training.task",
    "learn.asked": "training.request",
    "learn.answered": "training.acknowledged_alarm_ms",
}


def upgrade() -> None:
    """Rename the keys; the values stay."""
    meta = sa.table("meta", sa.column("name"))
    for before, after in RENAMED.items():
        op.execute(meta.update().where(meta.c.name == before).values(name=after))
