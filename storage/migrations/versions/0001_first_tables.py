"""The first tables: users, items, interactions, writers, dead letters, erasures, models, metadata."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.sql.schema import SchemaItem

revision = "0001"
down_revision = None

Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _key(table: str) -> list[SchemaItem]:
    return [sa.Column("key", Key, sa.Identity(), nullable=False), sa.PrimaryKeyConstraint("key", name=f"pk_{table}")]


def _integers(*names: str, nullable: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=nullable, autoincrement=False) for name in names]


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def upgrade() -> None:
    """Create the tables."""
    _users_and_items()
    _interactions()
    _writers()
    _dead_letters_and_erasures()
    _models_and_metadata()


def _users_and_items() -> None:
    op.create_table(
        "users",
        *_key("users"),
        sa.Column("user_id", Name, nullable=False),
        *_integers("seq", "num_events"),
        sa.Column("window", sa.LargeBinary, nullable=False),
        *_integers("erased_ms", nullable=True),
        sa.UniqueConstraint("user_id", name="uq_users_user_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "items",
        *_key("items"),
        sa.Column("item_id", Name, nullable=False),
        *_texts("title", "text", "categories", "attributes"),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.Column("in_catalogue", sa.Boolean, nullable=False),
        *_integers("revision", "updated_ms"),
        sa.UniqueConstraint("item_id", name="uq_items_item_id"),
    )


def _interactions() -> None:
    op.create_table(
        "interactions",
        sa.Column("event_key", sa.LargeBinary, nullable=False),
        *_integers("user_key", "item_key"),
        sa.Column("type_code", sa.SmallInteger, nullable=False),
        *_integers("time_ms", "user_seq"),
        sa.Column("value", sa.Double),
        sa.Column("context", sa.Text),
        sa.Column("recommendation_id", sa.Text),
        sa.PrimaryKeyConstraint(
            "user_key", "time_ms", "user_seq", name="pk_interactions", postgresql_include=["item_key", "type_code"]
        ),
        sa.UniqueConstraint("event_key", name="uq_interactions_event_key"),
        sqlite_with_rowid=False,
    )


def _writers() -> None:
    op.create_table(
        "sources",
        *_key("sources"),
        sa.Column("stream", Name, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        *_integers("applied_offset", "newest_ms", nullable=True),
        sa.UniqueConstraint("stream", "partition", name="uq_sources_stream_partition"),
    )
    op.create_table(
        "popularity",
        *_integers("source_key", "item_key"),
        sa.Column("score", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("source_key", "item_key", name="pk_popularity"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event_counts",
        *_integers("bucket_ms", "source_key"),
        sa.Column("type_code", sa.SmallInteger, nullable=False, autoincrement=False),
        *_integers("num"),
        sa.PrimaryKeyConstraint("bucket_ms", "source_key", "type_code", name="pk_event_counts"),
        sqlite_with_rowid=False,
    )


def _dead_letters_and_erasures() -> None:
    op.create_table(
        "dead_letters",
        *_key("dead_letters"),
        *_texts("source"),
        sa.Column("partition", sa.Integer, nullable=False),
        *_integers("position"),
        *_texts("reason"),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        *_integers("time_ms"),
    )
    op.create_table(
        "erased_users",
        sa.Column("hash", sa.LargeBinary, nullable=False),
        *_integers("time_ms", "last_seq"),
        sa.PrimaryKeyConstraint("hash", name="pk_erased_users"),
    )


def _models_and_metadata() -> None:
    op.create_table(
        "models",
        sa.Column("version", Name, nullable=False),
        *_texts("path", "status"),
        *_integers("created_ms"),
        *_texts("lineage"),
        sa.PrimaryKeyConstraint("version", name="pk_models"),
    )
    champion_only = sa.text("status = 'champion'")
    op.create_index(
        "ix_models_one_champion",
        "models",
        ["status"],
        unique=True,
        sqlite_where=champion_only,
        postgresql_where=champion_only,
    )
    op.create_table(
        "counters",
        sa.Column("name", Name, nullable=False),
        *_integers("value"),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    op.create_table(
        "meta",
        sa.Column("name", Name, nullable=False),
        *_texts("value"),
        sa.PrimaryKeyConstraint("name", name="pk_meta"),
    )
