"""When users were active last and their interest shifted, for lists of users in these orders."""

import numpy as np
import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

PAGE = 1_000
ACTIVITY_MS = 300_000
USERS = sa.table(
    "users", *(sa.column(name) for name in ("key", "newest_ms", "active_ms")), sa.column("window", sa.LargeBinary)
)


def upgrade() -> None:
    """Add the columns and fill them from the windows: all item keys, then all times, as 64-bit integers."""
    for name in ("newest_ms", "active_ms"):
        op.add_column("users", sa.Column(name, sa.BigInteger))
    op.add_column("users", sa.Column("shift_ms", sa.BigInteger))
    op.add_column("users", sa.Column("shift_distance", sa.Double))
    connection, last_key = op.get_bind(), 0
    columns = USERS.c
    while rows := connection.execute(
        sa.select(columns.key, columns.window).where(columns.key > last_key).order_by(columns.key).limit(PAGE)
    ).all():
        newest = {key: int(np.frombuffer(window, "<i8")[-1]) for key, window in rows if window}
        if newest:
            change = sa.update(USERS).where(columns.key == sa.bindparam("user_key"))
            values = change.values(newest_ms=sa.bindparam("time_ms"), active_ms=sa.bindparam("step_ms"))
            connection.execute(
                values,
                [
                    {"user_key": key, "time_ms": time_ms, "step_ms": time_ms - time_ms % ACTIVITY_MS}
                    for key, time_ms in newest.items()
                ],
            )
        last_key = rows[-1][0]
    op.create_index("ix_users_active_ms", "users", ["active_ms"])
    shifted = sa.text("shift_ms IS NOT NULL")
    op.create_index("ix_users_shift_ms", "users", ["shift_ms"], sqlite_where=shifted, postgresql_where=shifted)
