"""Names that say what they hold: `writer_offsets` (was `sources`), `drift_scores` (was `scores`), `superseded`."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Rename tables, columns and a model status."""
    _move_writers()
    for table in ("popularity", "event_counts", "drift_counts"):
        op.alter_column(table, "source_key", new_column_name="writer_key")
    _rename_scores()
    op.execute("UPDATE models SET status = 'superseded' WHERE status = 'lapsed'")


def _move_writers() -> None:
    """Into a new table, because SQLite cannot rename a constraint; one row per partition and process."""
    op.create_table(
        "writer_offsets",
        sa.Column("key", Key, sa.Identity(), nullable=False),
        sa.Column("stream", Name, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("applied_offset", sa.BigInteger),
        sa.Column("newest_ms", sa.BigInteger),
        sa.PrimaryKeyConstraint("key", name="pk_writer_offsets"),
        sa.UniqueConstraint("stream", "partition", name="uq_writer_offsets_stream_partition"),
    )
    op.execute(
        "INSERT INTO writer_offsets (key, stream, partition, applied_offset, newest_ms) "
        "SELECT key, stream, partition, applied_offset, newest_ms FROM sources"
    )
    if op.get_bind().dialect.name == "postgresql":
        next_key = "(SELECT coalesce(max(key), 0) + 1 FROM writer_offsets)"
        op.execute(f"SELECT setval(pg_get_serial_sequence('writer_offsets', 'key'), {next_key}, false)")
    op.drop_table("sources")


def _rename_scores() -> None:
    op.rename_table("scores", "drift_scores")
    for column in ("time_ms", "user_key"):
        op.drop_index(f"ix_scores_{column}", "drift_scores")
        op.create_index(f"ix_drift_scores_{column}", "drift_scores", [column])
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE drift_scores RENAME CONSTRAINT pk_scores TO pk_drift_scores")
