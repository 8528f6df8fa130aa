"""The repository of events (the table `interactions`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from core.arrays import IntArray
from core.events.history import History
from core.records.stored import EventColumns, EventRow


class EventReader(Protocol):
    """Reads events. History order: by (user, time, sequence)."""

    def known(self, event_keys: Sequence[bytes]) -> set[bytes]:
        """Which of these events are stored already, or were undone."""
        ...

    def any_undone(self) -> bool:
        """Whether any event was ever undone."""
        ...

    def by_key(self, event_keys: Sequence[bytes]) -> dict[bytes, EventRow]:
        """Stored events by their keys."""
        ...

    def sequences(self, event_keys: Sequence[bytes]) -> dict[bytes, int]:
        """The user sequence of each of these events that is stored."""
        ...

    def histories(self, limits: Mapping[int, int], *, type_codes: Sequence[int]) -> dict[int, History]:
        """For each user key its newest `limits[key]` events of these types, in history order."""
        ...

    def recent(
        self, user_key: int, *, type_codes: Sequence[int], limit: int, before: tuple[int, int] | None = None
    ) -> list[EventRow]:
        """A user's newest events of these types in history order, all before a (time, sequence) where given."""
        ...

    def history_page(self, user_key: int, *, before: tuple[int, int], limit: int = 100) -> list[EventRow]:
        """A user's newest events of all types before a (time, sequence), newest first."""
        ...

    def item_types(self, user_key: int, *, type_codes: Sequence[int]) -> IntArray:
        """(n, 2) item keys and type codes of all of a user's events of these types, in history order."""
        ...

    def columns(
        self, *, type_codes: Sequence[int], before_ms: int | None = None, since_ms: int | None = None
    ) -> EventColumns:
        """All events of these types with `since_ms` <= time < `before_ms`, in history order."""
        ...

    def pages(self, *, chunk: int = 50_000) -> Iterator[list[EventRow]]:
        """All events in history order, `chunk` at a time."""
        ...


class EventRepository(EventReader, Protocol):
    """Reads and writes events."""

    def insert(self, rows: Sequence[EventRow]) -> None:
        """Store events, sorted by `event_key`; raises `StoreConflict` where an event is already stored."""
        ...

    def undo(self, event: EventRow) -> None:
        """Delete an event of a locked user; it stays known, and the user's erasure covers its time."""
        ...

    def save_types(self, rows: Sequence[EventRow]) -> None:
        """Store the type codes of known events."""
        ...
