"""Drift monitoring: counts, sampled events and scores, buckets, points of signals, alarms; topics of items."""

import json
import zlib

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables, and set the topics of existing items."""
    op.add_column("items", sa.Column("topic", sa.SmallInteger, nullable=False, server_default="0"))
    op.add_column("items", sa.Column("created_ms", sa.BigInteger))
    _set_topics()
    _create_inputs()
    _create_results()


def _create_inputs() -> None:
    op.create_table(
        "drift_counts",
        sa.Column("bucket_ms", sa.BigInteger, nullable=False),
        sa.Column("source_key", sa.BigInteger, nullable=False),
        sa.Column("counts", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("bucket_ms", "source_key", name="pk_drift_counts"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "scores",
        sa.Column("event_key", sa.LargeBinary, nullable=False),
        sa.Column("user_key", sa.BigInteger, nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("scored", sa.Boolean, nullable=False),
        sa.Column("version", sa.Text),
        sa.Column("rank", sa.BigInteger),
        sa.Column("loss", sa.Double),
        sa.Column("topic", sa.SmallInteger),
        sa.Column("segments", sa.Text),
        sa.PrimaryKeyConstraint("event_key", name="pk_scores"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_scores_time_ms", "scores", ["time_ms"])
    op.create_index("ix_scores_user_key", "scores", ["user_key"])


def _create_results() -> None:
    op.create_table(
        "drift_buckets",
        sa.Column("bucket_ms", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("bucket_ms", name="pk_drift_buckets"),
    )
    op.create_table(
        "drift_points",
        sa.Column("signal", Name, nullable=False),
        sa.Column("segment", Name, nullable=False),
        sa.Column("start_ms", sa.BigInteger, nullable=False),
        sa.Column("end_ms", sa.BigInteger, nullable=False),
        sa.Column("num", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("expected", sa.Double),
        sa.PrimaryKeyConstraint("signal", "segment", "start_ms", name="pk_drift_points"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "drift_alarms",
        sa.Column("alarm_id", Name, nullable=False),
        sa.Column("signal", sa.Text, nullable=False),
        sa.Column("segment", sa.Text, nullable=False),
        sa.Column("detected_ms", sa.BigInteger, nullable=False),
        sa.Column("onset_ms", sa.BigInteger, nullable=False),
        sa.Column("before", sa.Double, nullable=False),
        sa.Column("after", sa.Double, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text),
        sa.Column("sent_ms", sa.BigInteger),
        sa.Column("num_attempts", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("alarm_id", name="pk_drift_alarms"),
        sqlite_with_rowid=False,
    )


def _set_topics() -> None:
    """Codes as the version of this migration computed them: a checksum of the first category."""
    items = sa.table("items", sa.column("key"), sa.column("categories"), sa.column("topic"))
    names_of_items = op.get_bind().execute(sa.select(items.c.key, items.c.categories).where(items.c.categories != "[]"))
    rows = [(key, 1 + zlib.crc32(json.loads(names)[0].encode()) % 255) for key, names in names_of_items]
    by_topic: dict[int, list[int]] = {}
    for key, topic in rows:
        by_topic.setdefault(topic, []).append(key)
    for topic, keys in by_topic.items():
        for start in range(0, len(keys), 500):
            batch = items.c.key.in_(keys[start : start + 500])
            op.get_bind().execute(sa.update(items).where(batch).values(topic=topic))
