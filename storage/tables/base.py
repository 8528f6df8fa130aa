"""What all tables share: metadata, the types of names and keys, and writer logs."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, LargeBinary, MetaData, Table, Text

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


def key() -> Column[int]:
    """The integer key of a table."""
    return Column("key", Key, Identity(), primary_key=True)


def writer_log(name: str) -> Table:
    """A log: see repositories.writer_log. Keys are never used again: readers continue after the last one."""
    log = Table(
        name,
        metadata,
        key(),
        Column("writer_key", BigInteger, nullable=False),
        Column("payload", LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    Index(f"ix_{name}_writer_key_key", log.c.writer_key, log.c.key)
    return log
