"""Activity of a store in memory."""

from __future__ import annotations

from collections.abc import Sequence

from core.records.activity import ActivityCount
from memory_store.data import MemoryRepository


class MemoryActivity(MemoryRepository):
    """`core.ports.activity.ActivityRepository`."""

    def counts(self, *, since_ms: int, before_ms: int) -> list[ActivityCount]:
        stored = sorted(self.data.activity.items())
        return [ActivityCount(*name, num) for name, num in stored if since_ms <= name[0] < before_ms]

    def add(self, counts: Sequence[ActivityCount]) -> None:
        for *name, num in counts:
            self.data.activity[tuple(name)] = self.data.activity.get(tuple(name), 0) + num

    def delete(self, *, before_ms: int) -> None:
        self.data.activity = {name: num for name, num in self.data.activity.items() if name[0] >= before_ms}
