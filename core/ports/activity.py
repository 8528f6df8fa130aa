"""The repository of activity: latencies of the last hour, counted by all API processes together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.records.activity import ActivityCount


class ActivityReader(Protocol):
    """Reads what all processes have counted."""

    def counts(self, *, since_ms: int, before_ms: int) -> list[ActivityCount]:
        """The counts of periods that begin from `since_ms` on and before `before_ms`, ascending."""
        ...


class ActivityRepository(ActivityReader, Protocol):
    """Reads and adds counts."""

    def add(self, counts: Sequence[ActivityCount]) -> None:
        """Add to what is stored of the same period, kind and bucket."""
        ...

    def delete(self, *, before_ms: int) -> None:
        """Delete the counts of periods that begin before a time."""
        ...
