"""Events (the table `interactions`): idempotent insertion, histories and scans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter

import numpy as np
from sqlalchemy import bindparam, delete, func, literal, select, tuple_
from sqlalchemy.sql.elements import CompilerElement

from core.arrays import IntArray
from core.events.history import EMPTY_HISTORY, History
from core.records.stored import EventColumns, EventRow
from storage.codec import pack_context, unpack_json
from storage.dialects import Dialect, Row
from storage.session import Session
from storage.tables import interactions, undone_events

columns = interactions.c
ROW = tuple(columns[name] for name in EventRow._fields)
HISTORY_ORDER = (columns.user_key, columns.time_ms, columns.user_seq)
NEWEST_FIRST = (columns.time_ms.desc(), columns.user_seq.desc())
OF_USER = columns.user_key == bindparam("user_key")
EARLIER = tuple_(columns.time_ms, columns.user_seq) < tuple_(bindparam("time_ms"), bindparam("user_seq"))
MAX_TIME_MS = 2**62
NO_KEY = b""
NUM_REQUIRED = EventRow._fields.index("value")  # columns; most events of an import have no others
NOTHING = (None, None, None)


def _known(dialect: Dialect) -> CompilerElement:
    """With an empty key more where any event was ever undone, so that mostly one statement is enough."""
    stored = select(columns.event_key).where(dialect.key_is_in(columns.event_key, "event_keys"))
    return stored.union_all(select(literal(NO_KEY)).where(select(undone_events.c.event_key).exists()))


def _undone(dialect: Dialect) -> CompilerElement:
    return select(undone_events.c.event_key).where(dialect.key_is_in(undone_events.c.event_key, "event_keys"))


def _any_undone(dialect: Dialect) -> CompilerElement:
    return select(undone_events.c.event_key).limit(1)


def _insert(dialect: Dialect) -> CompilerElement:
    return dialect.insert(interactions, *EventRow._fields)


def _insert_required(dialect: Dialect) -> CompilerElement:
    return dialect.insert(interactions, *EventRow._fields[:NUM_REQUIRED])


def _histories(dialect: Dialect) -> CompilerElement:
    rank = func.row_number().over(partition_by=columns.user_key, order_by=NEWEST_FIRST)
    ranked = (
        select(*HISTORY_ORDER, columns.item_key, rank.label("rank"))
        .where(dialect.is_in(columns.user_key, "user_keys"), dialect.is_in(columns.type_code, "type_codes"))
        .subquery()
    )
    kept = select(ranked.c.user_key, ranked.c.item_key, ranked.c.time_ms).where(ranked.c.rank <= bindparam("limit"))
    return kept.order_by(ranked.c.user_key, ranked.c.time_ms, ranked.c.user_seq)


def _delete(dialect: Dialect) -> CompilerElement:
    return delete(interactions).where(columns.event_key == bindparam("event_key"))


def _add_undone(dialect: Dialect) -> CompilerElement:
    return dialect.insert(undone_events, "event_key", "user_key", "time_ms")


def _save_types(dialect: Dialect) -> CompilerElement:
    return dialect.update(interactions, "type_code", key="event_key")


def _sequences(dialect: Dialect) -> CompilerElement:
    return select(columns.event_key, columns.user_seq).where(dialect.key_is_in(columns.event_key, "event_keys"))


def _history_page(dialect: Dialect) -> CompilerElement:
    return select(*ROW).where(OF_USER, EARLIER).order_by(*NEWEST_FIRST).limit(bindparam("limit"))


def _item_types(dialect: Dialect) -> CompilerElement:
    events = select(columns.item_key, columns.type_code).where(OF_USER, dialect.is_in(columns.type_code, "type_codes"))
    return events.order_by(columns.time_ms, columns.user_seq)


def _by_key(dialect: Dialect) -> CompilerElement:
    return select(*ROW).where(dialect.key_is_in(columns.event_key, "event_keys"))


def _recent(dialect: Dialect) -> CompilerElement:
    rows = select(*ROW).where(OF_USER, dialect.is_in(columns.type_code, "type_codes"), EARLIER)
    return rows.order_by(*NEWEST_FIRST).limit(bindparam("limit"))


def _all(dialect: Dialect) -> CompilerElement:
    types = dialect.is_in(columns.type_code, "type_codes")
    period = (columns.time_ms < bindparam("before_ms"), columns.time_ms >= bindparam("since_ms"))
    return select(columns.user_key, columns.item_key, columns.time_ms).where(types, *period).order_by(*HISTORY_ORDER)


def _page(dialect: Dialect) -> CompilerElement:
    last = tuple_(bindparam("user_key"), bindparam("time_ms"), bindparam("user_seq"))
    return select(*ROW).where(tuple_(*HISTORY_ORDER) > last).order_by(*HISTORY_ORDER).limit(bindparam("limit"))


class EventRepository:
    """`core.ports.events.EventRepository` over a session."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def known(self, event_keys: Sequence[bytes]) -> set[bytes]:
        """Which of these events are stored already, or were undone."""
        # Sorted, so that neighbouring keys share cached B-tree pages: a third less time for an import's random keys.
        if not event_keys:
            return set()
        keys = self._session.keys(sorted(event_keys))
        rows = self._session.rows(_known, event_keys=keys)
        if (NO_KEY,) in rows:
            rows += self._session.rows(_undone, event_keys=keys)
        return {bytes(key) for (key,) in rows if key}

    def any_undone(self) -> bool:
        """Whether any event was ever undone."""
        return self._session.row(_any_undone) is not None

    def insert(self, rows: Sequence[EventRow]) -> None:
        """Store events; raises `StoreConflict` where an event is already stored."""
        if all(row[NUM_REQUIRED:] == NOTHING for row in rows):
            self._session.write(_insert_required, list(map(itemgetter(slice(NUM_REQUIRED)), rows)))
            return
        packed = [row if row.context is None else row._replace(context=pack_context(row.context)) for row in rows]  # type: ignore[arg-type]
        self._session.write(_insert, packed)

    def undo(self, event: EventRow) -> None:
        """Delete an event, and keep its key as known."""
        self._session.run(_delete, event_key=event.event_key)
        self._session.write(_add_undone, [(event.event_key, event.user_key, event.time_ms)])

    def save_types(self, rows: Sequence[EventRow]) -> None:
        """Store the type codes of known events."""
        self._session.write(_save_types, [(row.type_code, row.event_key) for row in rows])

    def histories(self, limits: Mapping[int, int], *, type_codes: Sequence[int]) -> dict[int, History]:
        """For each user key its newest `limits[key]` events of these types, in history order."""
        histories = dict.fromkeys(limits, EMPTY_HISTORY)
        parameters = {"user_keys": self._session.array(limits), "type_codes": self._session.array(type_codes)}
        rows = self._session.integers(_histories, 3, **parameters, limit=max(limits.values(), default=0))
        starts = np.flatnonzero(np.diff(rows[:, 0], prepend=-1))
        for part in np.split(rows, starts[1:]) if len(rows) else ():
            user_key = int(part[0, 0])
            kept = part[max(0, len(part) - limits[user_key]) :]
            histories[user_key] = History(kept[:, 1].copy(), kept[:, 2].copy())
        return histories

    def sequences(self, event_keys: Sequence[bytes]) -> dict[bytes, int]:
        """The user sequence of each of these events that is stored."""
        if not event_keys:
            return {}
        keys = self._session.keys(sorted(set(event_keys)))
        return {bytes(key): seq for key, seq in self._session.rows(_sequences, event_keys=keys)}

    def history_page(self, user_key: int, *, before: tuple[int, int], limit: int = 100) -> list[EventRow]:
        """A user's newest events of all types before a (time, sequence), newest first."""
        time_ms, user_seq = before
        return [
            _unpacked(row)
            for row in self._session.rows(
                _history_page, user_key=user_key, time_ms=time_ms, user_seq=user_seq, limit=limit
            )
        ]

    def item_types(self, user_key: int, *, type_codes: Sequence[int]) -> IntArray:
        """(n, 2) item keys and type codes of a user's events of these types, in history order."""
        rows = self._session.rows(_item_types, user_key=user_key, type_codes=self._session.array(type_codes))
        return np.fromiter(chain.from_iterable(rows), np.int64, 2 * len(rows)).reshape(-1, 2)

    def recent(
        self, user_key: int, *, type_codes: Sequence[int], limit: int, before: tuple[int, int] | None = None
    ) -> list[EventRow]:
        """A user's newest events of these types, in history order."""
        time_ms, user_seq = before or (MAX_TIME_MS, 0)
        parameters = {"user_key": user_key, "type_codes": self._session.array(type_codes), "limit": limit}
        parameters |= {"time_ms": time_ms, "user_seq": user_seq}
        return [_unpacked(row) for row in reversed(self._session.rows(_recent, **parameters))]

    def by_key(self, event_keys: Sequence[bytes]) -> dict[bytes, EventRow]:
        """Stored events by their keys."""
        rows = self._session.rows(_by_key, event_keys=self._session.keys(sorted(event_keys))) if event_keys else []
        return {row.event_key: row for row in map(_unpacked, rows)}

    def columns(
        self, *, type_codes: Sequence[int], before_ms: int | None = None, since_ms: int | None = None
    ) -> EventColumns:
        """All events of these types between two times, in history order."""
        period = {
            "before_ms": MAX_TIME_MS if before_ms is None else before_ms,
            "since_ms": -MAX_TIME_MS if since_ms is None else since_ms,
        }
        users, items, times_ms = grown = [np.empty(0, np.int64) for _ in range(3)]
        for block in self._session.integer_blocks(_all, 3, type_codes=self._session.array(type_codes), **period):
            num_events = len(users)
            for column, values in zip(grown, block.T, strict=True):
                column.resize(num_events + len(block), refcheck=False)  # in place: no second copy of a large column
                column[num_events:] = values
        return EventColumns(users, items, times_ms)

    def pages(self, *, chunk: int = 50_000) -> Iterator[list[EventRow]]:
        """All events in history order, `chunk` at a time; each page continues after the last row of the one before."""
        last: dict[str, int] = {"user_key": -1, "time_ms": -1, "user_seq": -1}
        while True:
            rows = self._session.rows(_page, **last, limit=chunk)
            if not rows:
                return
            page = [_unpacked(row) for row in rows]
            yield page
            last = {"user_key": page[-1].user_key, "time_ms": page[-1].time_ms, "user_seq": page[-1].user_seq}


def _unpacked(row: Row) -> EventRow:
    key, *rest = row
    event = EventRow(bytes(key), *rest)
    return event if event.context is None else event._replace(context=unpack_json(event.context))  # type: ignore[arg-type]
