"""Events of a store in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from core.arrays import IntArray
from core.errors import StoreConflict
from core.events.history import History
from core.records.stored import EventColumns, EventRow
from memory_store.data import MemoryRepository, history_order


class MemoryEvents(MemoryRepository):
    """`core.ports.events.EventRepository`."""

    def known(self, event_keys: Sequence[bytes]) -> set[bytes]:
        return {key for key in event_keys if key in self.data.events or key in self.data.undone}

    def any_undone(self) -> bool:
        return bool(self.data.undone)

    def by_key(self, event_keys: Sequence[bytes]) -> dict[bytes, EventRow]:
        return {key: self.data.events[key] for key in event_keys if key in self.data.events}

    def sequences(self, event_keys: Sequence[bytes]) -> dict[bytes, int]:
        return {key: self.data.events[key].user_seq for key in event_keys if key in self.data.events}

    def histories(self, limits: Mapping[int, int], *, type_codes: Sequence[int]) -> dict[int, History]:
        return {key: self._newest(key, type_codes, limit) for key, limit in limits.items()}

    def _newest(self, user_key: int, type_codes: Sequence[int], limit: int) -> History:
        rows = [row for row in self.data.events.values() if row.user_key == user_key and row.type_code in type_codes]
        newest = sorted(rows, key=history_order)[max(0, len(rows) - limit) :]
        return History(
            np.array([row.item_key for row in newest], np.int64), np.array([row.time_ms for row in newest], np.int64)
        )

    def recent(
        self, user_key: int, *, type_codes: Sequence[int], limit: int, before: tuple[int, int] | None = None
    ) -> list[EventRow]:
        rows = [row for row in self.data.events.values() if row.user_key == user_key and row.type_code in type_codes]
        rows = [row for row in rows if before is None or (row.time_ms, row.user_seq) < before]
        return sorted(rows, key=history_order)[max(0, len(rows) - limit) :]

    def history_page(self, user_key: int, *, before: tuple[int, int], limit: int = 100) -> list[EventRow]:
        rows = [row for row in self.data.events.values() if row.user_key == user_key]
        return sorted((row for row in rows if history_order(row)[1:] < before), key=history_order)[::-1][:limit]

    def item_types(self, user_key: int, *, type_codes: Sequence[int]) -> IntArray:
        rows = self.recent(user_key, type_codes=type_codes, limit=len(self.data.events))
        return np.array([(row.item_key, row.type_code) for row in rows], np.int64).reshape(-1, 2)

    def columns(
        self, *, type_codes: Sequence[int], before_ms: int | None = None, since_ms: int | None = None
    ) -> EventColumns:
        rows = [
            (row.user_key, row.item_key, row.time_ms)
            for row in sorted(self.data.events.values(), key=history_order)
            if row.type_code in type_codes
            and (before_ms is None or row.time_ms < before_ms)
            and (since_ms is None or row.time_ms >= since_ms)
        ]
        users, items, times_ms = np.array(rows, np.int64).reshape(-1, 3).T
        return EventColumns(users, items, times_ms)

    def pages(self, *, chunk: int = 50_000) -> Iterator[list[EventRow]]:
        rows = sorted(self.data.events.values(), key=history_order)
        for start in range(0, len(rows), chunk):
            yield rows[start : start + chunk]

    def insert(self, rows: Sequence[EventRow]) -> None:
        for row in rows:
            if row.event_key in self.data.events:
                msg = "an event of this transaction is stored already; run the transaction again"
                raise StoreConflict(msg)
            self.data.events[row.event_key] = row

    def undo(self, event: EventRow) -> None:
        self.data.undone[event.event_key] = self.data.events.pop(event.event_key)

    def save_types(self, rows: Sequence[EventRow]) -> None:
        for row in rows:
            self.data.events[row.event_key] = self.data.events[row.event_key]._replace(type_code=row.type_code)
