"""Events by topic are also counted by day, so that a long period costs as many rows as it has days and topics."""

import json
from collections import Counter

import sqlalchemy as sa
from alembic import op

Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

revision = "0027"
down_revision = "0026"

DAY_MS = 86_400_000


def upgrade() -> None:
    """Create the table, and fill it with the sums of what was counted."""
    days = op.create_table(
        "topic_days",
        sa.Column("day_ms", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("writer_key", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("segment", Name, nullable=False),
        sa.Column("topic", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("num", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("day_ms", "writer_key", "segment", "topic", name="pk_topic_days"),
        sqlite_with_rowid=False,
    )
    sums: Counter[tuple[int, int, int]] = Counter()
    stored = op.get_bind().execute(sa.text("SELECT bucket_ms, writer_key, counts FROM drift_counts"))
    for bucket_ms, writer_key, packed in stored:
        for topic, num in json.loads(packed)[3].items():
            sums[bucket_ms // DAY_MS * DAY_MS, writer_key, int(topic)] += num
    rows = [
        {"day_ms": day_ms, "writer_key": writer_key, "segment": "", "topic": topic, "num": num}
        for (day_ms, writer_key, topic), num in sorted(sums.items())
    ]
    if rows:
        op.bulk_insert(days, rows)
