"""Event counts, in rows per time bucket, writer and type, so that writers never wait for each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import BigInteger, bindparam, cast, delete, func, select
from sqlalchemy.sql.elements import CompilerElement

from storage.dialects import Dialect
from storage.session import Session
from storage.tables import event_counts

SUM = cast(func.coalesce(func.sum(event_counts.c.num), 0), BigInteger)
RECENT = event_counts.c.bucket_ms >= bindparam("since_ms")


def _add(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(event_counts, "bucket_ms", "writer_key", "type_code", "num")
    total = {"num": event_counts.c.num + insert.excluded.num}
    return insert.on_conflict_do_update(index_elements=["bucket_ms", "writer_key", "type_code"], set_=total)


def _total(dialect: Dialect) -> CompilerElement:
    return select(SUM).where(RECENT)


def _total_of_types(dialect: Dialect) -> CompilerElement:
    return select(SUM).where(RECENT, dialect.is_in(event_counts.c.type_code, "type_codes"))


def _by_step(dialect: Dialect) -> CompilerElement:
    bucket_ms, code = event_counts.c.bucket_ms, event_counts.c.type_code
    start_ms = (bucket_ms - bucket_ms % bindparam("step_ms", type_=BigInteger)).label("start_ms")
    within = (bucket_ms >= bindparam("since_ms"), bucket_ms < bindparam("before_ms"))
    steps = select(start_ms, code, event_counts.c.num).where(*within).subquery()
    total = cast(func.sum(steps.c.num), BigInteger)
    return (
        select(steps.c.start_ms, steps.c.type_code, total)
        .group_by(steps.c.start_ms, steps.c.type_code)
        .having(total != 0)
    )


def _clear(dialect: Dialect) -> CompilerElement:
    return delete(event_counts)


class EventCountRepository:
    """`core.ports.popularity.EventCountRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, writer_key: int, counts: Mapping[tuple[int, int], int]) -> None:
        """Add to this writer's counters of (bucket, type)."""
        self._session.write(_add, [(bucket, writer_key, code, counts[bucket, code]) for bucket, code in sorted(counts)])

    def total(self, *, since_ms: int, type_codes: Sequence[int] | None = None) -> int:
        """The number of events (of these types) in buckets that begin at a time or later."""
        if type_codes is None:
            row = self._session.row(_total, since_ms=since_ms)
        else:
            codes = self._session.array(map(int, type_codes))
            row = self._session.row(_total_of_types, since_ms=since_ms, type_codes=codes)
        return int(row[0]) if row else 0

    def by_step(self, *, since_ms: int = 0, before_ms: int = 2**62, step_ms: int = 1) -> dict[tuple[int, int], int]:
        """All numbers that are not 0, by step start and type code."""
        rows = self._session.rows(_by_step, since_ms=since_ms, before_ms=before_ms, step_ms=step_ms)
        return {(start_ms, code): num for start_ms, code, num in rows}

    def clear(self) -> None:
        """Delete all counters."""
        self._session.run(_clear)
