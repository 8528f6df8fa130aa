"""Item transitions: a log in rows per writer, so that writers never wait for each other.

A row of the log (`writer_log`) holds the transitions of one commit; compaction joins neighbouring rows into the newest
of them, which keeps its key.
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
from storage.repositories.writer_log import LogRows, WriterLog
from storage.session import Session
from storage.tables import transitions

PACKED = Struct("<IHbIII")  # the fields of a `Transition`: 19 bytes
FIELDS = np.dtype(list(zip(Transition._fields, ["<u4", "<u2", "i1", "<u4", "<u4", "<u4"], strict=True)))
RECENT_ROWS = 4096  # of a writer, which are not joined: readers may still have to read them
MAX_JOINED_BYTES = 1 << 18

LOG = WriterLog(transitions)
columns = transitions.c
OF_WRITER = columns.writer_key == bindparam("writer_key")


def _sizes(dialect: Dialect) -> CompilerElement:
    sizes = select(columns.key, func.length(columns.payload)).where(OF_WRITER, columns.key <= bindparam("key"))
    return sizes.order_by(columns.key)


def _payloads(dialect: Dialect) -> CompilerElement:
    return select(columns.payload).where(dialect.is_in(columns.key, "keys")).order_by(columns.key)


def _replace(dialect: Dialect) -> CompilerElement:
    return dialect.update(transitions, "payload", key="key")


def _delete(dialect: Dialect) -> CompilerElement:
    return delete(transitions).where(dialect.is_in(columns.key, "keys"))


class TransitionRepository:
    """`core.ports.transitions.TransitionRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, writer_key: int, transitions: Sequence[Transition]) -> None:
        """Append transitions to the log of a locked writer, as one row."""
        if transitions:
            LOG.add(self._session, writer_key, b"".join([PACKED.pack(*transition) for transition in transitions]))

    def since(self, position: Mapping[int, int]) -> TransitionChanges:
        """The transitions that were added after a position."""
        return _changes(LOG.since(self._session, position or None))

    def after(self, num_rows: Mapping[int, int]) -> TransitionChanges:
        """The transitions after so many first ones of each writer, or all of a log that holds fewer."""
        return _changes(LOG.after(self._session, {key: PACKED.size * number for key, number in num_rows.items()}))

    def compact(self, writer_key: int) -> None:
        """Join the rows of a locked writer's log, except the recent ones."""
        newest_key = LOG.newest_old_key(self._session, writer_key, num_recent=RECENT_ROWS)
        if newest_key is None:
            return
        for keys in _runs(self._session.rows(_sizes, writer_key=writer_key, key=newest_key)):
            rows = self._session.rows(_payloads, keys=self._session.array(keys))
            self._session.write(_replace, [(b"".join(payload for (payload,) in rows), keys[-1])])
            self._session.run(_delete, keys=self._session.array(keys[:-1]))

    def clear(self) -> None:
        """Delete all transitions."""
        LOG.clear(self._session)


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


def _changes(read: LogRows) -> TransitionChanges:
    num_rows = {key: sum(map(len, payloads)) // PACKED.size for key, payloads in read.payloads.items()}
    packed = np.frombuffer(read.content, FIELDS)
    rows: IntArray = np.stack([packed[name].astype(np.int64) for name in Transition._fields], axis=1)
    return TransitionChanges(rows, read.position, read.restarted, num_rows)
