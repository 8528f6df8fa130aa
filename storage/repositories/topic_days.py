"""Events by day, segment and topic, summed in rows per writer. Part of `DriftRepository`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sqlalchemy import BigInteger, bindparam, cast, delete, func, select
from sqlalchemy.sql.elements import CompilerElement

from core.clock import DAY_MS
from core.records.drift import BucketCounts
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import topic_days

ALL_EVENTS = ""
KEY = ("day_ms", "writer_key", "segment", "topic")


def _add(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(topic_days, *KEY, "num")
    return insert.on_conflict_do_update(index_elements=KEY, set_={"num": topic_days.c.num + insert.excluded.num})


def _sums(dialect: Dialect) -> CompilerElement:
    group = (topic_days.c.day_ms, topic_days.c.segment, topic_days.c.topic)
    within = (topic_days.c.day_ms >= bindparam("since_ms"), topic_days.c.day_ms < bindparam("before_ms"))
    total = cast(func.sum(topic_days.c.num), BigInteger)
    return select(*group, total).where(*within).group_by(*group).having(total > 0).order_by(*group)


def _clear(dialect: Dialect) -> CompilerElement:
    return delete(topic_days)


def add(session: Session, writer_key: int, counts: Mapping[int, BucketCounts]) -> None:
    """Add a writer's counts by bucket start (ms) to its days."""
    sums: Counter[tuple[int, str, int]] = Counter()
    for start_ms, bucket in counts.items():
        for segment, topics in ((ALL_EVENTS, bucket.topics), *bucket.segments.items()):
            for topic, num in topics.items():
                sums[start_ms // DAY_MS * DAY_MS, segment, topic] += num
    rows = [(day_ms, writer_key, segment, topic, num) for (day_ms, segment, topic), num in sorted(sums.items())]
    session.write(_add, rows)


def read(session: Session, *, since_ms: int, before_ms: int) -> dict[int, BucketCounts]:
    """The topics and segments of days with `since_ms` <= start < `before_ms`, over all writers; none is below 0."""
    days: dict[int, BucketCounts] = {}
    for day_ms, segment, topic, num in session.rows(_sums, since_ms=since_ms, before_ms=before_ms):
        day = days.setdefault(day_ms, BucketCounts())
        topics = day.topics if segment == ALL_EVENTS else day.segments.setdefault(segment, Counter())
        topics[topic] = num
    return days


def clear(session: Session) -> None:
    """Delete the days of all writers."""
    session.run(_clear)
