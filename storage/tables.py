"""The tables, as SQLAlchemy Core metadata. The migrations in `storage/migrations` create the same (tested).

Large tables reference users and items by integer keys. JSON is stored as text: no query looks into it. There are no
foreign keys: writers resolve keys in the transaction that uses them, and each check would cost a B-tree lookup.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMES)

# Byte order on both databases, so that every process sorts ids alike.
Name = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite uses a column as its row id only if its type is INTEGER.
Key = BigInteger().with_variant(Integer(), "sqlite")


def _key() -> Column[int]:
    return Column("key", Key, Identity(), primary_key=True)


users = Table(
    "users",
    metadata,
    _key(),
    Column("user_id", Name, nullable=False, unique=True),
    Column("seq", BigInteger, nullable=False),
    Column("num_events", BigInteger, nullable=False),
    Column("window", LargeBinary, nullable=False, quote=True),  # see codec.pack_history; a keyword of SQLite
    Column("erased_ms", BigInteger),
    Column("merged_into", BigInteger),  # the key of the user that this id means; NULL: this one
    sqlite_autoincrement=True,  # the key of an erased user is never used again
)
MERGED = users.c.merged_into.is_not(None)
Index("ix_users_merged_into", users.c.merged_into, sqlite_where=MERGED, postgresql_where=MERGED)

items = Table(
    "items",
    metadata,
    _key(),
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
    _key(),
    Column("stream", Name, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("applied_offset", BigInteger),
    Column("newest_ms", BigInteger),
    UniqueConstraint("stream", "partition"),
)

popularity = Table(
    "popularity",
    metadata,
    Column("writer_key", BigInteger, primary_key=True, autoincrement=False),
    Column("item_key", BigInteger, primary_key=True, autoincrement=False),
    Column("score", Double, nullable=False),
    sqlite_with_rowid=False,
)


def _writer_log(name: str) -> Table:
    """A log: see repositories.writer_log. Keys are never used again: readers continue after the last one."""
    log = Table(
        name,
        metadata,
        _key(),
        Column("writer_key", BigInteger, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    Index(f"ix_{name}_writer_key_key", log.c.writer_key, log.c.key)
    return log


popularity_changes = _writer_log("popularity_changes")
transitions = _writer_log("transitions")

event_counts = Table(
    "event_counts",
    metadata,
    Column("bucket_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("writer_key", BigInteger, primary_key=True, autoincrement=False),
    Column("type_code", SmallInteger, primary_key=True, autoincrement=False),
    Column("num", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What answers were made by. Few rows: one for each combination of scenario, arm and model version.
answer_origins = Table(
    "answer_origins",
    metadata,
    _key(),
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
Index(
    "ix_answers_user_id_time_ms",
    answers.c.user_id,
    answers.c.time_ms,
    sqlite_where=OF_A_USER,
    postgresql_where=OF_A_USER,
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

dead_letters = Table(
    "dead_letters",
    metadata,
    _key(),
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
    _key(),
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
    Column("binding", Name, nullable=False),  # see core.recommendation.snapshot
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
    Column("cause", Text, nullable=False),
    Column("model_version", Text),
    Column("sent_ms", BigInteger),
    Column("num_attempts", Integer, nullable=False),
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
    sqlite_with_rowid=False,
)

meta = Table(
    "meta",
    metadata,
    Column("name", Name, primary_key=True),
    Column("value", Text, nullable=False),
)
