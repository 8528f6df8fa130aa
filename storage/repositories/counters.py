"""Counters: named revisions, which only increase; a raised one is locked until its transaction ends.

So revisions commit in ascending order, and a reader that follows them misses none.
"""

from __future__ import annotations

from sqlalchemy import bindparam, select
from sqlalchemy.sql.elements import CompilerElement

from storage.dialects import Dialect
from storage.session import Session
from storage.tables import counters


def _raise(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(counters, "name", "value")
    return insert.on_conflict_do_update(
        index_elements=["name"], set_={"value": counters.c.value + insert.excluded.value}
    )


def _value(dialect: Dialect) -> CompilerElement:
    return select(counters.c.value).where(counters.c.name == bindparam("counter"))


def value_of(session: Session, name: str) -> int:
    """The value of a counter, 0 before it was first raised."""
    row = session.row(_value, counter=name)
    return 0 if row is None else int(row[0])


def raised(session: Session, name: str, *, by: int = 1) -> int:
    """Raise a counter, lock it until the transaction ends, and return its value. By 0 it is only locked."""
    session.write(_raise, [(name, by)])
    return value_of(session, name)
