"""A log in rows per writer: each commit of a writer appends a row, so that writers never wait for each other.

A reader keeps the key of the last row that it read of each writer. Old rows may be joined or deleted; if the row that a
reader stands at is gone, it starts again. Independent of what the rows hold.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from sqlalchemy import Table, bindparam, delete, func, select
from sqlalchemy.sql.elements import CompilerElement

from storage.dialects import Dialect
from storage.session import Session
from storage.tables import writer_offsets


@dataclass(frozen=True, slots=True)
class LogRows:
    """The payloads of each writer after a position, oldest first, and where the next read continues.

    `restarted`: these are all rows; forget what was read before.
    """

    payloads: Mapping[int, list[bytes]]
    position: Mapping[int, int]
    restarted: bool

    @property
    def content(self) -> bytes:
        """All payloads together, those of one writer after those of another."""
        return b"".join(chain.from_iterable(self.payloads.values()))


@dataclass(frozen=True)
class WriterLog:
    """The statements of a table with the columns `key`, `writer_key` and `payload`."""

    table: Table

    def add(self, session: Session, writer_key: int, payload: bytes) -> None:
        """Append a row to the log of a locked writer."""
        session.write(self._add, [(writer_key, payload)])

    def since(self, session: Session, position: Mapping[int, int] | None) -> LogRows:
        """The rows after a position; None: all."""
        newest = {writer_key: key for writer_key, key in session.rows(self._newest) if key is not None}
        if position is None or position.keys() - newest.keys():
            return self._all_rows(session)
        reached, payloads = dict(position), dict[int, list[bytes]]()
        for writer_key, newest_key in newest.items():
            read_key = position.get(writer_key, 0)
            if newest_key == read_key:
                continue
            rows = session.rows(self._since, writer_key=writer_key, key=read_key)
            if read_key and (not rows or rows[0][0] != read_key):
                return self._all_rows(session)
            payloads[writer_key] = [payload for key, payload in rows if key > read_key]
            reached[writer_key] = rows[-1][0]
        return LogRows(payloads, reached, restarted=False)

    def after(self, session: Session, num_bytes: Mapping[int, int]) -> LogRows:
        """What follows so many first bytes of each writer's log; all of one that is shorter.

        For logs whose rows are joined and never deleted: whichever rows they lie in, the bytes are the same.
        """
        ends, reached, starts = Counter[int](), dict[int, int](), dict[int, tuple[int, int]]()
        for writer_key, key, size in session.rows(self._sizes):
            read, begin = num_bytes.get(writer_key, 0), ends[writer_key]
            ends[writer_key] += size
            if begin <= read < ends[writer_key]:
                starts[writer_key] = key, read - begin
            reached[writer_key] = key
        if any(ends[writer_key] < read for writer_key, read in num_bytes.items()):
            return self._all_rows(session)
        payloads = dict[int, list[bytes]]()
        for writer_key, (start_key, num_read) in starts.items():
            rows = session.rows(self._since, writer_key=writer_key, key=start_key)
            (_, first), *others = rows
            payloads[writer_key] = [first[num_read:], *(payload for _, payload in others)]
        return LogRows(payloads, reached, restarted=False)

    def newest_old_key(self, session: Session, writer_key: int, *, num_recent: int) -> int | None:
        """The newest key of a writer's rows before its `num_recent` newest ones; None if there are no others."""
        row = session.row(self._newest_old, writer_key=writer_key, num_recent=num_recent)
        return None if row is None else int(row[0])

    def delete_until(self, session: Session, writer_key: int, key: int) -> None:
        """Delete a writer's rows up to a key."""
        session.run(self._delete_until, writer_key=writer_key, key=key)

    def clear(self, session: Session) -> None:
        """Delete all rows."""
        session.run(self._clear)

    def _all_rows(self, session: Session) -> LogRows:
        payloads, reached = defaultdict[int, list[bytes]](list), dict[int, int]()
        for writer_key, key, payload in session.rows(self._all):
            payloads[writer_key].append(payload)
            reached[writer_key] = key
        return LogRows(payloads, reached, restarted=True)

    def _add(self, dialect: Dialect) -> CompilerElement:
        return dialect.insert(self.table, "writer_key", "payload")

    def _newest(self, dialect: Dialect) -> CompilerElement:
        own = self.table.c.writer_key == writer_offsets.c.key
        return select(writer_offsets.c.key, select(func.max(self.table.c.key)).where(own).scalar_subquery())

    def _since(self, dialect: Dialect) -> CompilerElement:
        columns = self.table.c
        own = (columns.writer_key == bindparam("writer_key"), columns.key >= bindparam("key"))
        return select(columns.key, columns.payload).where(*own).order_by(columns.key)

    def _all(self, dialect: Dialect) -> CompilerElement:
        columns = self.table.c
        return select(columns.writer_key, columns.key, columns.payload).order_by(columns.key)

    def _sizes(self, dialect: Dialect) -> CompilerElement:
        columns = self.table.c
        return select(columns.writer_key, columns.key, func.length(columns.payload)).order_by(columns.key)

    def _newest_old(self, dialect: Dialect) -> CompilerElement:
        columns = self.table.c
        rows = select(columns.key).where(columns.writer_key == bindparam("writer_key"))
        return rows.order_by(columns.key.desc()).offset(bindparam("num_recent")).limit(1)

    def _delete_until(self, dialect: Dialect) -> CompilerElement:
        columns = self.table.c
        return delete(self.table).where(columns.writer_key == bindparam("writer_key"), columns.key <= bindparam("key"))

    def _clear(self, dialect: Dialect) -> CompilerElement:
        return delete(self.table)
