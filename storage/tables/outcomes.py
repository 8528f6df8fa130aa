"""Tables of answers and their outcomes."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    UniqueConstraint,
)

from storage.tables.base import Name, key, metadata

# What answers were made by. Few rows: one for each combination of scenario, arm and model version.
answer_origins = Table(
    "answer_origins",
    metadata,
    key(),
    Column("scenario", Name, nullable=False),
    Column("arm", Name, nullable=False),
    Column("model_version", Name, nullable=False),
    UniqueConstraint("scenario", "arm", "model_version"),
)

# The key begins with the answer's time: new rows are neighbours, and old ones are deleted from one end.
answers = Table(
    "answers",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("user_id", Name),  # NULL: an anonymous session, or a list without a user
    Column("time_ms", BigInteger, nullable=False),
    Column("origin_key", BigInteger, nullable=False),
    Column("item_keys", LargeBinary, nullable=False),  # see codec.pack_keys
    Column("propensities", LargeBinary),  # see codec.pack_numbers; NULL: all are 1
    Column("num_new", SmallInteger, nullable=False),
    Column("novelty", Double, nullable=False),
    sqlite_with_rowid=False,
)

OF_A_USER = answers.c.user_id.is_not(None)

# Ingest looks for an item in all answers to a user within hours. On SQLite the index covers that: a row behind an index
# entry is another search, by key. PostgreSQL has a pointer instead, and limits what an index entry holds.
Index(
    "ix_answers_user_id_time_ms",
    answers.c.user_id,
    answers.c.time_ms,
    postgresql_where=OF_A_USER,
    info={"dialect": "postgresql"},
)
Index(
    "ix_answers_user_id_time_ms_item_keys",
    answers.c.user_id,
    answers.c.time_ms,
    answers.c.item_keys,
    sqlite_where=OF_A_USER,
    info={"dialect": "sqlite"},
)

items_shown = Table(
    "items_shown",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("origin_key", BigInteger, primary_key=True, autoincrement=False),
    Column("item_key", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

# Events attributed to answers. What they need of the answer is copied: answers are deleted after some time.
outcomes = Table(
    "outcomes",
    metadata,
    Column("answer_key", LargeBinary, nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("measure", SmallInteger, nullable=False),
    Column("event_key", LargeBinary, nullable=False, unique=True),
    Column("origin_key", BigInteger, nullable=False),
    Column("answered_ms", BigInteger, nullable=False),
    Column("propensity", Double, nullable=False),
    Column("value", Double),
    PrimaryKeyConstraint("answer_key", "position", "measure", "event_key"),
    sqlite_with_rowid=False,
)

# Events that name an answer which was not stored yet: answers are written about a second later.
deferred_outcomes = Table(
    "deferred_outcomes",
    metadata,
    Column("event_key", LargeBinary, primary_key=True),
    Column("answer_key", LargeBinary, nullable=False),
    Column("deferred_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

outcome_counts = Table(
    "outcome_counts",
    metadata,
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("writer_key", BigInteger, primary_key=True, autoincrement=False),
    Column("origin_key", BigInteger, primary_key=True, autoincrement=False),
    Column("position", SmallInteger, primary_key=True, autoincrement=False),
    Column("measure", SmallInteger, primary_key=True, autoincrement=False),
    Column("num", BigInteger, nullable=False),
    Column("value", Double, nullable=False),
    sqlite_with_rowid=False,
)

# `measure` first: the counts of items shown are deleted from their oldest day on, all others stay with their events.
item_counts = Table(
    "item_counts",
    metadata,
    Column("measure", SmallInteger, primary_key=True, autoincrement=False),  # see core.records.item_counts
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("item_key", BigInteger, primary_key=True, autoincrement=False),
    Column("writer_key", BigInteger, primary_key=True, autoincrement=False),
    Column("num", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
