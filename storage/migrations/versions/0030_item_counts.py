"""Counts by item and day, of stored events and outcomes; how often items were shown is counted from now on."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"

EVENTS = (
    "INSERT INTO item_counts (measure, day, item_key, writer_key, num) "
    "SELECT 16 + type_code, time_ms / 86400000 AS day, item_key, 0, count(*) FROM interactions "
    "GROUP BY type_code, day, item_key"
)
OUTCOMES = (
    "INSERT INTO item_counts (measure, day, item_key, writer_key, num) "
    "SELECT measure, day, item_key, 0, count(*) FROM (SELECT DISTINCT o.answer_key, o.position, p.measure, "
    "o.answered_ms / 86400000 AS day, i.item_key FROM outcomes o JOIN interactions i ON i.event_key = o.event_key "
    "JOIN (SELECT 0 AS measure UNION SELECT 1 UNION SELECT 2) p ON p.measure IN (0, o.measure)) AS counted "
    "GROUP BY measure, day, item_key"
)


def upgrade() -> None:
    """Create the table and fill it: events by type (16 and more), proven impressions (0), clicks, conversions."""
    op.create_table(
        "item_counts",
        sa.Column("measure", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("item_key", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("writer_key", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("num", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("measure", "day", "item_key", "writer_key", name="pk_item_counts"),
        sqlite_with_rowid=False,
    )
    op.execute(EVENTS)
    op.execute(OUTCOMES)
