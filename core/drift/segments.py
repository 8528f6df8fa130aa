"""Segments: parts of all events whose interests are compared side by side, by what an event itself says.

`user=new` holds the first events of each user; `user=returning` follows from it and is not counted. A field of the
event's context gives a segment for each of its values, as `event.country=DE`. Fields are meant to have few values: the
first ones that a process meets are counted apart, the others together. Independent of storage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.records.stored import EventRow

NEW_USER_EVENTS = 20  # a user is new during their first events
NEW, RETURNING = "user=new", "user=returning"
MAX_VALUES = 50  # of a field, so that an id among the fields cannot make counts grow without limit
MAX_VALUE_LENGTH = 64
OTHER = "other"


class EventSegments:
    """Names the segments of events. Used by one thread."""

    def __init__(self, fields: Sequence[str] = ()) -> None:
        """`fields`: of the context, as `event.country`."""
        self._values: dict[str, set[str]] = {name: set() for name in fields}

    def of(self, event: EventRow) -> list[str]:
        """The segments of an event."""
        names = [NEW] if event.user_seq <= NEW_USER_EVENTS else []
        return [*names, *self.of_context(event.context)] if event.context else names

    def of_context(self, context: Mapping[str, Any]) -> list[str]:
        """The segments of an event by its context."""
        names: list[str] = []
        for field, known in self._values.items():
            given = context.get(field.partition(".")[2])
            if given is None:
                continue
            value = str(given)[:MAX_VALUE_LENGTH]
            if value not in known and len(known) >= MAX_VALUES:
                value = OTHER
            known.add(value)
            names.append(f"{field}={value}")
        return names
