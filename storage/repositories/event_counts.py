"""Event counts, in rows per time bucket, writer and type, so that writers never wait for each other.

Their sums by hour and by day are stored with them, so that long periods are read from few rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import BigInteger, ColumnElement, Select, Subquery, bindparam, cast, delete, func, select, union_all
from sqlalchemy.sql.elements import CompilerElement

from core.clock import DAY_MS, HOUR_MS
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import event_count_rollups, event_counts

ROLLUPS_MS = (DAY_MS, HOUR_MS)  # longest first
END_MS = 2**62


def _add(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(event_counts, "bucket_ms", "writer_key", "type_code", "num")
    total = {"num": event_counts.c.num + insert.excluded.num}
    return insert.on_conflict_do_update(index_elements=["bucket_ms", "writer_key", "type_code"], set_=total)


def _add_rollups(dialect: Dialect) -> CompilerElement:
    key = ("step_ms", "start_ms", "writer_key", "type_code")
    insert = dialect.insert(event_count_rollups, *key, "num")
    total = {"num": event_count_rollups.c.num + insert.excluded.num}
    return insert.on_conflict_do_update(index_elements=list(key), set_=total)


def _counts() -> Subquery:
    """Rows (start, type, number): rollups of `rollup_ms` from `head_ms` to `tail_ms`, buckets before and after."""

    def part(start_ms: ColumnElement[int], since: str, before: str) -> Select[tuple[int, int, int]]:
        columns = start_ms.table.c
        within = (start_ms >= bindparam(since), start_ms < bindparam(before))
        return select(start_ms.label("start_ms"), columns.type_code, columns.num).where(*within)

    rollups = event_count_rollups.c
    long = part(rollups.start_ms, "head_ms", "tail_ms").where(rollups.step_ms == bindparam("rollup_ms"))
    buckets = (part(event_counts.c.bucket_ms, *ends) for ends in (("since_ms", "head_ms"), ("tail_ms", "before_ms")))
    return union_all(long, *buckets).subquery()


def _period(*, since_ms: int, before_ms: int, step_ms: int) -> dict[str, int]:
    """The parameters of `_counts`, with the longest rollup that divides the step and fits into the period."""
    for rollup_ms in ROLLUPS_MS:
        head_ms, tail_ms = since_ms + -since_ms % rollup_ms, before_ms - before_ms % rollup_ms
        if step_ms % rollup_ms == 0 and head_ms < tail_ms:
            break
    else:
        rollup_ms, head_ms, tail_ms = 0, before_ms, before_ms
    period = {"since_ms": since_ms, "head_ms": head_ms, "tail_ms": tail_ms, "before_ms": before_ms}
    return {"rollup_ms": rollup_ms, **period}


def _total(dialect: Dialect) -> CompilerElement:
    return select(cast(func.coalesce(func.sum(_counts().c.num), 0), BigInteger))


def _total_of_types(dialect: Dialect) -> CompilerElement:
    counts = _counts().c
    total = cast(func.coalesce(func.sum(counts.num), 0), BigInteger)
    return select(total).where(dialect.is_in(counts.type_code, "type_codes"))


def _by_step(dialect: Dialect) -> CompilerElement:
    counts = _counts().c
    start_ms = (counts.start_ms - counts.start_ms % bindparam("step_ms", type_=BigInteger)).label("start_ms")
    steps = select(start_ms, counts.type_code, counts.num).subquery()
    total = cast(func.sum(steps.c.num), BigInteger)
    return (
        select(steps.c.start_ms, steps.c.type_code, total)
        .group_by(steps.c.start_ms, steps.c.type_code)
        .having(total != 0)
    )


def _clear(dialect: Dialect) -> CompilerElement:
    return delete(event_counts)


def _clear_rollups(dialect: Dialect) -> CompilerElement:
    return delete(event_count_rollups)


class EventCountRepository:
    """`core.ports.popularity.EventCountRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, writer_key: int, counts: Mapping[tuple[int, int], int]) -> None:
        """Add to this writer's counters of (bucket, type), and to their sums."""
        self._session.write(_add, [(bucket, writer_key, code, counts[bucket, code]) for bucket, code in sorted(counts)])
        sums: Counter[tuple[int, int, int, int]] = Counter()
        for (bucket_ms, code), num in counts.items():
            for step_ms in ROLLUPS_MS:
                sums[step_ms, bucket_ms - bucket_ms % step_ms, writer_key, code] += num
        self._session.write(_add_rollups, [(*name, sums[name]) for name in sorted(sums)])

    def total(self, *, since_ms: int, type_codes: Sequence[int] | None = None) -> int:
        """The number of events (of these types) in buckets that begin at a time or later."""
        period = _period(since_ms=since_ms, before_ms=END_MS, step_ms=DAY_MS)
        if type_codes is None:
            row = self._session.row(_total, **period)
        else:
            row = self._session.row(_total_of_types, type_codes=self._session.array(map(int, type_codes)), **period)
        return int(row[0]) if row else 0

    def by_step(self, *, since_ms: int = 0, before_ms: int = END_MS, step_ms: int = 1) -> dict[tuple[int, int], int]:
        """All numbers that are not 0, by step start and type code."""
        period = _period(since_ms=since_ms, before_ms=before_ms, step_ms=step_ms)
        rows = self._session.rows(_by_step, step_ms=step_ms, **period)
        return {(start_ms, code): num for start_ms, code, num in rows}

    def clear(self) -> None:
        """Delete all counters."""
        self._session.run(_clear)
        self._session.run(_clear_rollups)
