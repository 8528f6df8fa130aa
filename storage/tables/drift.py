"""Tables of drift monitoring."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, LargeBinary, SmallInteger, Table, Text

from storage.tables.base import Name, metadata

topics = Table(
    "topics",
    metadata,
    Column("code", SmallInteger, primary_key=True, autoincrement=False),
    Column("name", Name, nullable=False, unique=True),
)

drift_counts = Table(
    "drift_counts",
    metadata,
    Column("bucket_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("writer_key", BigInteger, primary_key=True, autoincrement=False),
    Column("counts", Text, nullable=False),  # all topics in one row: see drift_codec.pack_counts
    sqlite_with_rowid=False,
)

topic_days = Table(
    "topic_days",
    metadata,
    Column("day_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("writer_key", BigInteger, primary_key=True, autoincrement=False),
    Column("segment", Name, primary_key=True),  # empty: all events
    Column("topic", SmallInteger, primary_key=True, autoincrement=False),
    Column("num", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

drift_scores = Table(
    "drift_scores",
    metadata,
    Column("event_key", LargeBinary, primary_key=True),
    Column("user_key", BigInteger, nullable=False, index=True),
    Column("time_ms", BigInteger, nullable=False, index=True),
    Column("scored", Boolean, nullable=False),
    Column("version", Text),
    Column("rank", BigInteger),
    Column("loss", Double),
    Column("topic", SmallInteger),
    Column("segments", Text),
    Column("confidence", Double),
    sqlite_with_rowid=False,
)

drift_buckets = Table(
    "drift_buckets",
    metadata,
    Column("bucket_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False),  # see drift_codec.pack_bucket
)

drift_points = Table(
    "drift_points",
    metadata,
    Column("signal", Name, primary_key=True),
    Column("segment", Name, primary_key=True),
    Column("start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("num", BigInteger, nullable=False),
    Column("value", Double, nullable=False),
    Column("expected", Double),
    sqlite_with_rowid=False,
)

drift_alarms = Table(
    "drift_alarms",
    metadata,
    Column("alarm_id", Name, primary_key=True),
    Column("signal", Text, nullable=False),
    Column("segment", Text, nullable=False),
    Column("detected_ms", BigInteger, nullable=False),
    Column("onset_ms", BigInteger, nullable=False),
    Column("before", Double, nullable=False),
    Column("after", Double, nullable=False),
    Column("low", Double, nullable=False, server_default="0"),
    Column("high", Double, nullable=False, server_default="0"),
    Column("cause", Text, nullable=False),
    Column("model_version", Text),
    Column("over_ms", BigInteger),
    Column("ending", Text),
    Column("sent_ms", BigInteger),
    Column("num_attempts", Integer, nullable=False),
    sqlite_with_rowid=False,
)
