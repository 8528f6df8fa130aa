"""Activity: counts of latencies by period, kind and bucket, which processes add up."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, select
from sqlalchemy.sql.elements import CompilerElement

from core.records.activity import ActivityCount, ActivityKind
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import activity_counts

columns = activity_counts.c
NAME = ("start_ms", "kind", "bucket")


def _add(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(activity_counts, *NAME, "num")
    return insert.on_conflict_do_update(index_elements=NAME, set_={"num": columns.num + insert.excluded.num})


def _counts(dialect: Dialect) -> CompilerElement:
    within = (columns.start_ms >= bindparam("since_ms"), columns.start_ms < bindparam("before_ms"))
    name = [columns[part] for part in NAME]
    return select(*name, columns.num).where(*within).order_by(*name)


def _delete(dialect: Dialect) -> CompilerElement:
    return delete(activity_counts).where(columns.start_ms < bindparam("before_ms"))


class ActivityRepository:
    """`core.ports.activity.ActivityRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def counts(self, *, since_ms: int, before_ms: int) -> list[ActivityCount]:
        """The counts of periods, ascending."""
        rows = self._session.rows(_counts, since_ms=since_ms, before_ms=before_ms)
        return [ActivityCount(start_ms, ActivityKind(kind), bucket, num) for start_ms, kind, bucket, num in rows]

    def add(self, counts: Sequence[ActivityCount]) -> None:
        """Add to what is stored; in ascending order, to prevent deadlock."""
        self._session.write(_add, sorted(counts))

    def delete(self, *, before_ms: int) -> None:
        """Delete the counts of periods that begin before a time."""
        self._session.run(_delete, before_ms=before_ms)
