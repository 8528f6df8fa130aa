"""Tables of models, roles of processes, access and metadata."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, LargeBinary, SmallInteger, Table, Text, text

from storage.tables.base import Name, key, metadata

models = Table(
    "models",
    metadata,
    Column("version", Name, primary_key=True),
    Column("path", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("lineage", Text, nullable=False),
)

CHAMPION_ONLY = text("status = 'champion'")

Index(
    "ix_models_one_champion", models.c.status, unique=True, sqlite_where=CHAMPION_ONLY, postgresql_where=CHAMPION_ONLY
)

promotions = Table(
    "promotions",
    metadata,
    key(),
    Column("version", Name, nullable=False),
    Column("previous", Name),  # NULL: popularity served
    Column("kind", Text, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
)

vectors = Table(
    "vectors",
    metadata,
    Column("user_key", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Name, primary_key=True),
    Column("binding", Name, nullable=False),  # see core.recommendation.snapshots.snapshot
    Column("user_seq", BigInteger, nullable=False),
    Column("vector", LargeBinary, nullable=False),  # little-endian float32
    sqlite_with_rowid=False,
)

leases = Table(
    "leases",
    metadata,
    Column("role", Name, primary_key=True),
    Column("holder", Text, nullable=False),  # empty: released
    Column("token", BigInteger, nullable=False),  # the fencing token: increases with each lease
    Column("expires_ms", BigInteger, nullable=False),  # by the database's clock
    sqlite_with_rowid=False,
)

counters = Table(
    "counters",
    metadata,
    Column("name", Name, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # SHA-256 of the secret
    Column("name", Name, nullable=False),
    Column("scope", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
    Column("max_per_s", Double),
    Column("scenarios", Text, nullable=False, server_default="[]"),  # a JSON array; empty: any
    sqlite_with_rowid=False,
)

audit_log = Table(
    "audit_log",
    metadata,
    key(),
    Column("time_ms", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),  # names no user: erasure covers this table
    sqlite_autoincrement=True,
)

# Of short periods of the last hour; the API processes add up what they count.
activity_counts = Table(
    "activity_counts",
    metadata,
    Column("start_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("bucket", SmallInteger, primary_key=True, autoincrement=False),  # of the latency
    Column("num", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

meta = Table(
    "meta",
    metadata,
    Column("name", Name, primary_key=True),
    Column("value", Text, nullable=False),
)
