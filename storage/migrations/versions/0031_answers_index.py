"""The index of answers by user covers, on SQLite, the search for the answer that an event belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Replace the index."""
    if op.get_bind().dialect.name != "sqlite":
        return
    op.drop_index("ix_answers_user_id_time_ms", "answers")
    op.create_index(
        "ix_answers_user_id_time_ms_item_keys",
        "answers",
        ["user_id", "time_ms", "item_keys"],
        sqlite_where=sa.text("user_id IS NOT NULL"),
    )
