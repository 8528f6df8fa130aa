"""Writer offsets: applied offset and newest event time per writer; and how far partitions lagged over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import BigInteger, bindparam, case, delete, func, select
from sqlalchemy.sql.elements import CompilerElement

from core.ports.offsets import INTERNAL_STREAMS
from core.records.stored import WriterOffset, WriterPosition
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import partition_lags, writer_offsets

columns = writer_offsets.c


def _find(dialect: Dialect) -> CompilerElement:
    named = (columns.stream == bindparam("stream"), dialect.is_in(columns.partition, "partitions"))
    rows = select(columns.partition, columns.key, columns.applied_offset, columns.newest_ms).where(*named)
    return rows.order_by(columns.partition).with_for_update()


def _insert(dialect: Dialect) -> CompilerElement:
    return dialect.insert(writer_offsets, "stream", "partition").on_conflict_do_nothing()


def _save(dialect: Dialect) -> CompilerElement:
    return dialect.update(writer_offsets, "applied_offset", "newest_ms", key="key")


def _applied(dialect: Dialect) -> CompilerElement:
    known = (columns.stream == bindparam("stream"), columns.applied_offset.is_not(None))
    return select(columns.partition, columns.applied_offset).where(*known)


def _positions(dialect: Dialect) -> CompilerElement:
    name = (columns.stream, columns.partition)
    writes_events = (columns.stream != stream for stream in INTERNAL_STREAMS)
    return select(*name, columns.applied_offset, columns.newest_ms).where(*writes_events).order_by(*name)


def _newest_ms(dialect: Dialect) -> CompilerElement:
    return select(func.max(columns.newest_ms))


def _note_lags(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(partition_lags, "bucket_ms", "stream", "partition", "lag")
    old, new = partition_lags.c.lag, insert.excluded.lag
    highest = {"lag": case((new > old, new), else_=old)}
    return insert.on_conflict_do_update(index_elements=["bucket_ms", "stream", "partition"], set_=highest)


def _lags(dialect: Dialect) -> CompilerElement:
    lags = partition_lags.c
    start_ms = lags.bucket_ms - lags.bucket_ms % bindparam("step_ms", type_=BigInteger)
    within = (lags.bucket_ms >= bindparam("since_ms"), lags.bucket_ms < bindparam("before_ms"))
    rows = select(start_ms.label("start_ms"), lags.partition, lags.lag)
    steps = rows.where(*within, lags.stream == bindparam("stream")).subquery().c
    return select(steps.start_ms, steps.partition, func.max(steps.lag)).group_by(steps.start_ms, steps.partition)


def _delete_lags(dialect: Dialect) -> CompilerElement:
    return delete(partition_lags).where(partition_lags.c.bucket_ms < bindparam("before_ms"))


class OffsetRepository:
    """`core.ports.offsets.OffsetRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def lock(self, stream: str, partitions: Sequence[int]) -> dict[int, WriterOffset]:
        """The writers of these partitions, created where they are new, locked until the transaction ends.

        They are created and locked in ascending partition, to prevent deadlock.
        """
        requested = {"stream": stream, "partitions": self._session.array(partitions)}
        rows = self._session.rows(_find, **requested)
        if len(rows) < len(partitions):
            missing = set(partitions).difference(partition for partition, *_ in rows)
            self._session.write(_insert, [(stream, partition) for partition in sorted(missing)])
            rows = self._session.rows(_find, **requested)
        return {partition: WriterOffset(*fields) for partition, *fields in rows}

    def save(self, offsets: Sequence[WriterOffset]) -> None:
        """Store offsets and newest event times of locked writers."""
        self._session.write(_save, [(offset.applied_offset, offset.newest_ms, offset.key) for offset in offsets])

    def applied(self, stream: str) -> dict[int, int]:
        """The applied offset of each partition of a stream."""
        return {partition: offset for partition, offset in self._session.rows(_applied, stream=stream)}

    def positions(self) -> list[WriterPosition]:
        """All writers of events, in ascending (stream, partition)."""
        return [WriterPosition(*row) for row in self._session.rows(_positions)]

    def newest_event_ms(self) -> int | None:
        """The highest event time applied by any writer."""
        row = self._session.row(_newest_ms)
        return None if row is None else row[0]

    def lags(self, stream: str, *, since_ms: int, before_ms: int, step_ms: int) -> dict[tuple[int, int], int]:
        """The highest lag of each step and partition."""
        rows = self._session.rows(_lags, stream=stream, since_ms=since_ms, before_ms=before_ms, step_ms=step_ms)
        return {(start_ms, partition): lag for start_ms, partition, lag in rows}

    def note_lags(self, stream: str, lags: Mapping[int, int], *, bucket_ms: int) -> None:
        """Store the lags of partitions in a bucket, where they are higher than those stored."""
        self._session.write(_note_lags, [(bucket_ms, stream, partition, lags[partition]) for partition in sorted(lags)])

    def delete_lags(self, *, before_ms: int) -> None:
        """Delete the lags of buckets that begin before a time."""
        self._session.run(_delete_lags, before_ms=before_ms)
