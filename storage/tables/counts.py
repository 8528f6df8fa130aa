"""Tables of popularity, item transitions and event counts, which follow from events."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, SmallInteger, Table

from storage.tables.base import metadata, writer_log

popularity = Table(
    "popularity",
    metadata,
    Column("writer_key", BigInteger, primary_key=True, autoincrement=False),
    Column("item_key", BigInteger, primary_key=True, autoincrement=False),
    Column("score", Double, nullable=False),
    sqlite_with_rowid=False,
)

popularity_changes = writer_log("popularity_changes")

transitions = writer_log("transitions")

event_counts = Table(
    "event_counts",
    metadata,
    Column("bucket_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("writer_key", BigInteger, primary_key=True, autoincrement=False),
    Column("type_code", SmallInteger, primary_key=True, autoincrement=False),
    Column("num", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Sums of event_counts by hour and by day, kept with them.
event_count_rollups = Table(
    "event_count_rollups",
    metadata,
    Column("step_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("writer_key", BigInteger, primary_key=True, autoincrement=False),
    Column("type_code", SmallInteger, primary_key=True, autoincrement=False),
    Column("num", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
