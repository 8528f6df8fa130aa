"""What each writer keeps: its applied offset, decayed popularity and counts. No two writers wait for one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, bindparam, cast, delete, func, select
from sqlalchemy.sql.elements import CompilerElement

from core.history import IntArray
from core.ports import WriterOffset, WriterPosition
from storage.dialects import Dialect
from storage.session import Session
from storage.tables import event_counts, popularity, sources


def _find_sources(dialect: Dialect) -> CompilerElement:
    named = (sources.c.stream == bindparam("stream"), dialect.is_in(sources.c.partition, "partitions"))
    found = select(sources.c.partition, sources.c.key, sources.c.applied_offset, sources.c.newest_ms).where(*named)
    return found.order_by(sources.c.partition).with_for_update()


def _insert_source(dialect: Dialect) -> CompilerElement:
    return dialect.insert(sources, "stream", "partition").on_conflict_do_nothing()


def _save_sources(dialect: Dialect) -> CompilerElement:
    return dialect.update(sources, "applied_offset", "newest_ms", key="key")


def _offsets(dialect: Dialect) -> CompilerElement:
    known = (sources.c.stream == bindparam("stream"), sources.c.applied_offset.is_not(None))
    return select(sources.c.partition, sources.c.applied_offset).where(*known)


def _positions(dialect: Dialect) -> CompilerElement:
    place = (sources.c.stream, sources.c.partition)
    return select(*place, sources.c.applied_offset, sources.c.newest_ms).order_by(*place)


def _num_counted(dialect: Dialect) -> CompilerElement:
    return select(func.sum(event_counts.c.num)).where(event_counts.c.bucket_ms >= bindparam("since_ms"))


def _newest_ms(dialect: Dialect) -> CompilerElement:
    return select(func.max(sources.c.newest_ms))


def _add_scores(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(popularity, "source_key", "item_key", "score")
    joined = {"score": dialect.add_log2(popularity.c.score, insert.excluded.score)}
    return insert.on_conflict_do_update(index_elements=["source_key", "item_key"], set_=joined)


def _all_scores(dialect: Dialect) -> CompilerElement:
    return select(popularity.c.item_key, popularity.c.score)


def _add_counts(dialect: Dialect) -> CompilerElement:
    insert = dialect.insert(event_counts, "bucket_ms", "source_key", "type_code", "num")
    total = {"num": event_counts.c.num + insert.excluded.num}
    return insert.on_conflict_do_update(index_elements=["bucket_ms", "source_key", "type_code"], set_=total)


def _count(dialect: Dialect) -> CompilerElement:
    wanted = (event_counts.c.bucket_ms >= bindparam("since_ms"), dialect.is_in(event_counts.c.type_code, "type_codes"))
    return select(cast(func.coalesce(func.sum(event_counts.c.num), 0), BigInteger)).where(*wanted)


def _clear_scores(dialect: Dialect) -> CompilerElement:
    return delete(popularity)


def _clear_counts(dialect: Dialect) -> CompilerElement:
    return delete(event_counts)


def open_sources(session: Session, stream: str, partitions: Sequence[int]) -> dict[int, WriterOffset]:
    """The states of writers, made where they are new, locked until the end: both in ascending partition."""
    wanted = {"stream": stream, "partitions": session.array(partitions)}
    found = session.rows(_find_sources, **wanted)
    if len(found) < len(partitions):
        missing = set(partitions).difference(partition for partition, *_ in found)
        session.write(_insert_source, [(stream, partition) for partition in sorted(missing)])
        found = session.rows(_find_sources, **wanted)
    return {partition: WriterOffset(*state) for partition, *state in found}


def save_sources(session: Session, states: Sequence[WriterOffset]) -> None:
    """Store the offsets and newest times of opened writers."""
    session.write(_save_sources, [(state.applied_offset, state.newest_ms, state.key) for state in states])


def applied_offsets(session: Session, stream: str) -> dict[int, int]:
    """The applied offset of each partition of a stream."""
    return {partition: offset for partition, offset in session.rows(_offsets, stream=stream)}


def positions(session: Session) -> list[WriterPosition]:
    """Every writer, in ascending (stream, partition)."""
    return [WriterPosition(*row) for row in session.rows(_positions)]


def num_counted(session: Session, *, since_ms: int) -> int:
    """How many events all writers have counted in buckets that begin at a time or later."""
    row = session.row(_num_counted, since_ms=since_ms)
    return int(row[0] or 0) if row else 0


def newest_event_ms(session: Session) -> int | None:
    """The highest event time applied by any writer."""
    row = session.row(_newest_ms)
    return None if row is None else row[0]


def add_scores(session: Session, source_key: int, more: Mapping[int, float]) -> None:
    """Join decayed log2 counts with this writer's, in ascending key."""
    session.write(_add_scores, [(source_key, int(item_key), float(more[item_key])) for item_key in sorted(more)])


def all_scores(session: Session) -> tuple[IntArray, NDArray[np.float64]]:
    """Item keys and decayed log2 counts, joined over all writers: log2 of the sum of the counts themselves."""
    rows = session.rows(_all_scores)
    keys, places = np.unique(np.fromiter((row[0] for row in rows), np.int64, len(rows)), return_inverse=True)
    joined = np.full(len(keys), -np.inf)
    np.logaddexp2.at(joined, places, np.fromiter((row[1] for row in rows), np.float64, len(rows)))
    return keys, joined


def add_counts(session: Session, source_key: int, counts: Mapping[tuple[int, int], int]) -> None:
    """Add to this writer's counters of (bucket, type)."""
    session.write(_add_counts, [(bucket, source_key, code, counts[bucket, code]) for bucket, code in sorted(counts)])


def num_events(session: Session, *, type_codes: Sequence[int], since_ms: int) -> int:
    """How many events of these types lie in buckets that begin at that time or later."""
    row = session.row(_count, since_ms=since_ms, type_codes=session.array(map(int, type_codes)))
    return int(row[0]) if row else 0


def clear(session: Session) -> None:
    """Empty popularity and counts; a rebuild computes them again."""
    session.run(_clear_scores)
    session.run(_clear_counts)
