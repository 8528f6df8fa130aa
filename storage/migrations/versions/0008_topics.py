"""Topics have names and separate codes: several categories shared a code before."""

import json
import zlib
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
OTHERS = 255


def upgrade() -> None:
    """Create the table; of categories that shared a code, the first keeps it."""
    op.create_table(
        "topics",
        sa.Column("code", sa.SmallInteger, nullable=False, autoincrement=False),
        sa.Column("name", Name, nullable=False),
        sa.PrimaryKeyConstraint("code", name="pk_topics"),
        sa.UniqueConstraint("name", name="uq_topics_name"),
    )
    items = sa.table("items", sa.column("key"), sa.column("categories"), sa.column("topic"))
    rows = op.get_bind().execute(
        sa.select(items.c.key, items.c.categories).where(items.c.categories != "[]").order_by(items.c.key)
    )
    keys: dict[str, list[int]] = {}
    for key, names in rows:
        keys.setdefault(json.loads(names)[0], []).append(key)
    codes = _codes(list(keys))
    if codes:
        op.bulk_insert(
            sa.table("topics", sa.column("code"), sa.column("name")),
            [{"code": code, "name": name} for name, code in codes.items()],
        )
    for topic, several in _moved(keys, codes):
        op.get_bind().execute(sa.update(items).where(items.c.key.in_(several)).values(topic=topic))


def _before(name: str) -> int:
    """The code before this migration."""
    return 1 + zlib.crc32(name.encode()) % OTHERS


def _codes(names: list[str]) -> dict[str, int]:
    codes: dict[str, int] = {}
    taken = {OTHERS}
    for name in names:
        if _before(name) not in taken:
            codes[name] = _before(name)
            taken.add(_before(name))
    free = (code for code in range(1, OTHERS) if code not in taken)
    return codes | dict(zip((name for name in names if name not in codes), free, strict=False))


def _moved(keys: dict[str, list[int]], codes: dict[str, int]) -> Iterator[tuple[int, list[int]]]:
    """The items whose code changes, in batches."""
    for name, several in keys.items():
        topic = codes.get(name, OTHERS)
        for start in range(0, len(several) if topic != _before(name) else 0, 500):
            yield topic, several[start : start + 500]
