"""Item transitions: a log in rows per writer, so that writers never wait for each other.

A row holds the transitions of one commit; compaction joins neighbouring rows into the newest of them, which keeps its
key. A reader keeps the key of the last row that it read of each writer. If that row is gone, it was joined with a later
one, or the log was cleared: the reader starts again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from struct import Struct

import numpy as np
from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.sql.elements import CompilerElement

from core.arrays import IntArray
from core.transitions.transition import Transition, TransitionChanges
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import transitions, writer_offsets

PACKED = Struct("<IHbIII")  # the fields of a `Transition`: 19 bytes
FIELDS = np.dtype(list(zip(Transition._fields, ["<u4", "<u2", "i1", "<u4", "<u4", "<u4"], strict=True)))
RECENT_ROWS = 4096  # of a writer, which are not joined: readers may still have to read them
MAX_JOINED_BYTES = 1 << 18

columns = transitions.c
OF_WRITER = columns.writer_key == bindparam("writer_key")


def _add(dialect: Dialect) -> CompilerElement:
    return dialect.insert(transitions, "writer_key", "payload")


def _newest(dialect: Dialect) -> CompilerElement:
    newest = select(func.max(columns.key)).where(columns.writer_key == writer_offsets.c.key).scalar_subquery()
    return select(writer_offsets.c.key, newest)


def _since(dialect: Dialect) -> CompilerElement:
    rows = select(columns.key, columns.payload).where(OF_WRITER, columns.key >= bindparam("key"))
    return rows.order_by(columns.key)


def _all(dialect: Dialect) -> CompilerElement:
    return select(columns.writer_key, columns.key, columns.payload).order_by(columns.key)


def _newest_old(dialect: Dialect) -> CompilerElement:
    return select(columns.key).where(OF_WRITER).order_by(columns.key.desc()).offset(RECENT_ROWS).limit(1)


def _sizes(dialect: Dialect) -> CompilerElement:
    sizes = select(columns.key, func.length(columns.payload)).where(OF_WRITER, columns.key <= bindparam("key"))
    return sizes.order_by(columns.key)


def _payloads(dialect: Dialect) -> CompilerElement:
    return select(columns.payload).where(dialect.is_in(columns.key, "keys")).order_by(columns.key)


def _replace(dialect: Dialect) -> CompilerElement:
    return dialect.update(transitions, "payload", key="key")


def _delete(dialect: Dialect) -> CompilerElement:
    return delete(transitions).where(dialect.is_in(columns.key, "keys"))


def _clear(dialect: Dialect) -> CompilerElement:
    return delete(transitions)


class TransitionRepository:
    """`core.ports.transitions.TransitionRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, writer_key: int, transitions: Sequence[Transition]) -> None:
        """Append transitions to the log of a locked writer, as one row."""
        if transitions:
            payload = b"".join([PACKED.pack(*transition) for transition in transitions])
            self._session.write(_add, [(writer_key, payload)])

    def since(self, position: Mapping[int, int]) -> TransitionChanges:
        """The transitions that were added after a position."""
        newest = {writer_key: key for writer_key, key in self._session.rows(_newest) if key is not None}
        if not position or position.keys() - newest.keys():
            return self._all()
        reached, payloads = dict(position), list[bytes]()
        for writer_key, newest_key in newest.items():
            read_key = position.get(writer_key, 0)
            if newest_key == read_key:
                continue
            rows = self._session.rows(_since, writer_key=writer_key, key=read_key)
            if read_key and (not rows or rows[0][0] != read_key):
                return self._all()
            payloads += [payload for key, payload in rows if key > read_key]
            reached[writer_key] = rows[-1][0]
        return TransitionChanges(_unpacked(payloads), reached, restarted=False)

    def _all(self) -> TransitionChanges:
        rows = self._session.rows(_all)
        reached = {writer_key: key for writer_key, key, _ in rows}
        return TransitionChanges(_unpacked([payload for _, _, payload in rows]), reached, restarted=True)

    def compact(self, writer_key: int) -> None:
        """Join the rows of a locked writer's log, except the recent ones."""
        newest = self._session.row(_newest_old, writer_key=writer_key)
        if newest is None:
            return
        for keys in _runs(self._session.rows(_sizes, writer_key=writer_key, key=newest[0])):
            rows = self._session.rows(_payloads, keys=self._session.array(keys))
            self._session.write(_replace, [(b"".join(payload for (payload,) in rows), keys[-1])])
            self._session.run(_delete, keys=self._session.array(keys[:-1]))

    def clear(self) -> None:
        """Delete all transitions."""
        self._session.run(_clear)


def _runs(sizes: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """The keys of neighbouring rows that are joined: at least two, of a bounded size together."""
    keys, total = list[int](), 0
    for key, size in sizes:
        if total + size > MAX_JOINED_BYTES:
            if len(keys) > 1:
                yield keys
            keys, total = [], 0
        keys.append(key)
        total += size
    if len(keys) > 1:
        yield keys


def _unpacked(payloads: Sequence[bytes]) -> IntArray:
    """(n, 6) the fields of all transitions."""
    rows = np.frombuffer(b"".join(payloads), FIELDS)
    return np.stack([rows[name].astype(np.int64) for name in Transition._fields], axis=1)
