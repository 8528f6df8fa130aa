"""Answers and their outcomes, with counts."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _answers()
    _outcomes()


def _answers() -> None:
    op.create_table(
        "answer_origins",
        sa.Column("key", Key, sa.Identity(), nullable=False),
        sa.Column("scenario", Name, nullable=False),
        sa.Column("arm", Name, nullable=False),
        sa.Column("model_version", Name, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_answer_origins"),
        sa.UniqueConstraint("scenario", "arm", "model_version", name="uq_answer_origins_scenario_arm_model_version"),
    )
    op.create_table(
        "answers",
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("user_id", Name),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("origin_key", sa.BigInteger, nullable=False),
        sa.Column("item_keys", sa.LargeBinary, nullable=False),
        sa.Column("propensities", sa.LargeBinary),
        sa.Column("num_new", sa.SmallInteger, nullable=False),
        sa.Column("novelty", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_answers"),
        sqlite_with_rowid=False,
    )
    named = sa.text("user_id IS NOT NULL")
    op.create_index(
        "ix_answers_user_id_time_ms", "answers", ["user_id", "time_ms"], sqlite_where=named, postgresql_where=named
    )
    op.create_table(
        "items_shown",
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("origin_key", sa.BigInteger, nullable=False),
        sa.Column("item_key", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("day", "origin_key", "item_key", name="pk_items_shown"),
        sqlite_with_rowid=False,
    )


def _outcomes() -> None:
    op.create_table(
        "outcomes",
        sa.Column("answer_key", sa.LargeBinary, nullable=False),
        sa.Column("position", sa.SmallInteger, nullable=False),
        sa.Column("measure", sa.SmallInteger, nullable=False),
        sa.Column("event_key", sa.LargeBinary, nullable=False),
        sa.Column("origin_key", sa.BigInteger, nullable=False),
        sa.Column("answered_ms", sa.BigInteger, nullable=False),
        sa.Column("propensity", sa.Double, nullable=False),
        sa.Column("value", sa.Double),
        sa.PrimaryKeyConstraint("answer_key", "position", "measure", "event_key", name="pk_outcomes"),
        sa.UniqueConstraint("event_key", name="uq_outcomes_event_key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "deferred_outcomes",
        sa.Column("event_key", sa.LargeBinary, nullable=False),
        sa.Column("answer_key", sa.LargeBinary, nullable=False),
        sa.Column("deferred_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("event_key", name="pk_deferred_outcomes"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "outcome_counts",
        sa.Column("day", sa.Integer, nullable=False),
        sa.Column("writer_key", sa.BigInteger, nullable=False),
        sa.Column("origin_key", sa.BigInteger, nullable=False),
        sa.Column("position", sa.SmallInteger, nullable=False),
        sa.Column("measure", sa.SmallInteger, nullable=False),
        sa.Column("num", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("day", "writer_key", "origin_key", "position", "measure", name="pk_outcome_counts"),
        sqlite_with_rowid=False,
    )
