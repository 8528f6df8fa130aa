"""Counts of answers with revenue, and the sums of its squares, for intervals."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"

FILL = sa.text(
    "INSERT INTO outcome_counts (day, writer_key, origin_key, position, measure, num, value) "
    "SELECT day, (SELECT min(key) FROM writer_offsets), origin_key, 0, 6, count(*), sum(revenue * revenue) FROM ("
    "SELECT answered_ms / 86400000 AS day, origin_key, answer_key, sum(value) AS revenue FROM outcomes "
    "WHERE measure = 2 AND value <> 0 GROUP BY answered_ms, origin_key, answer_key) AS revenues "
    "GROUP BY day, origin_key"
)


def upgrade() -> None:
    """Count the stored outcomes."""
    op.execute(FILL)
