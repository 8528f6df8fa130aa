"""Tables of users, items, events, and of what arrived and could not be applied."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from storage.tables.base import Name, key, metadata

users = Table(
    "users",
    metadata,
    key(),
    Column("user_id", Name, nullable=False, unique=True),
    Column("seq", BigInteger, nullable=False),
    Column("num_events", BigInteger, nullable=False),
    Column("window", LargeBinary, nullable=False, quote=True),  # see codec.pack_history; a keyword of SQLite
    Column("erased_ms", BigInteger),
    Column("merged_into", BigInteger),  # the key of the user that this id means; NULL: this one
    Column("newest_ms", BigInteger),  # the time of the window's newest event; NULL: it has none
    # The same in whole steps of five minutes: the index changes once in a visit, not with each event, so that
    # PostgreSQL can update most rows in place.
    Column("active_ms", BigInteger),
    # When and how far (0 to 1) the user's interest shifted, as tested last; NULL: it did not.
    Column("shift_ms", BigInteger),
    Column("shift_distance", Double),
    sqlite_autoincrement=True,  # the key of an erased user is never used again
)

MERGED = users.c.merged_into.is_not(None)

Index("ix_users_merged_into", users.c.merged_into, sqlite_where=MERGED, postgresql_where=MERGED)
Index("ix_users_active_ms", users.c.active_ms)

SHIFTED = users.c.shift_ms.is_not(None)

Index("ix_users_shift_ms", users.c.shift_ms, sqlite_where=SHIFTED, postgresql_where=SHIFTED)

# Not in `users`, whose rows are written with every event.
user_attributes = Table(
    "user_attributes",
    metadata,
    Column("user_key", BigInteger, primary_key=True, autoincrement=False),
    Column("attributes", Text, nullable=False),
    sqlite_with_rowid=False,
)

items = Table(
    "items",
    metadata,
    key(),
    Column("item_id", Name, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("categories", Text, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("hidden", Boolean, nullable=False),
    *(Column(name, BigInteger) for name in ("available_from_ms", "available_until_ms", "stock")),
    Column("in_catalogue", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("topic", SmallInteger, nullable=False, server_default="0"),  # see core.topics
    Column("created_ms", BigInteger),  # NULL for items older than this column
    # The revision of the newest change of title, text, categories or collected features.
    Column("content_revision", BigInteger, nullable=False, server_default="0"),
)

Index("ix_items_revision", items.c.revision)

# The primary key is the history order of each user. On SQLite the table is clustered by it, on PostgreSQL its index
# includes item and type: either way, a window and the set of seen items are read from one range of one B-tree.
interactions = Table(
    "interactions",
    metadata,
    Column("event_key", LargeBinary, nullable=False, unique=True),
    Column("user_key", BigInteger, nullable=False),
    Column("item_key", BigInteger, nullable=False),
    Column("type_code", SmallInteger, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("user_seq", BigInteger, nullable=False),
    Column("value", Double),
    Column("context", Text),
    Column("recommendation_id", Text),
    PrimaryKeyConstraint("user_key", "time_ms", "user_seq", postgresql_include=["item_key", "type_code"]),
    sqlite_with_rowid=False,
)

# A redelivery of an undone event changes nothing. Erasing its user erases the row.
undone_events = Table(
    "undone_events",
    metadata,
    Column("event_key", LargeBinary, primary_key=True),
    Column("user_key", BigInteger, nullable=False, index=True),
    Column("time_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

writer_offsets = Table(
    "writer_offsets",
    metadata,
    key(),
    Column("stream", Name, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("applied_offset", BigInteger),
    Column("newest_ms", BigInteger),
    UniqueConstraint("stream", "partition"),
)

# The highest lag of each partition in each five minutes.
partition_lags = Table(
    "partition_lags",
    metadata,
    Column("bucket_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("stream", Name, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("lag", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

dead_letters = Table(
    "dead_letters",
    metadata,
    key(),
    Column("source", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("digest", LargeBinary),  # see dead_letters.digest; NULL for rows older than this column
    Column("num_retries", Integer, nullable=False, server_default="0"),
)

Index("ix_dead_letters_digest", dead_letters.c.digest, unique=True)

erased_users = Table(
    "erased_users",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("time_ms", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
)
