"""Counts by item of a store in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from core.arrays import IntArray
from core.ports.item_counts import ItemDimension
from core.records.item_counts import ItemCounts
from core.records.outcomes import Measure
from memory_store.data import MemoryRepository


class MemoryItemCounts(MemoryRepository):
    """`core.ports.item_counts.ItemCountRepository`; writers are not told apart."""

    def of_items(
        self, item_keys: Sequence[int], *, measures: Sequence[int], since_day: int, until_day: int
    ) -> ItemCounts:
        days = range(since_day, until_day + 1)
        counted = self.data.item_counts.items()
        wanted = {key: num for key, num in counted if key.measure in measures and key.day in days and num}
        return {key: num for key, num in wanted.items() if key.item_key in item_keys}

    def totals(self, by: ItemDimension, *, measures: Sequence[int], since_day: int, until_day: int) -> IntArray:
        sums: Counter[tuple[int, int]] = Counter()
        for key, num in self.data.item_counts.items():
            if key.measure in measures and since_day <= key.day <= until_day:
                sums[key.item_key if by == "item" else key.day, key.measure] += num
        return np.array([(*group, num) for group, num in sorted(sums.items()) if num], np.int64).reshape(-1, 3)

    def add(self, writer_key: int, counts: ItemCounts) -> None:
        for key, num in counts.items():
            self.data.item_counts[key] = self.data.item_counts.get(key, 0) + num

    def clear(self) -> None:
        counted = self.data.item_counts.items()
        self.data.item_counts = {key: num for key, num in counted if key.measure == Measure.SHOWN}

    def delete_shown_before(self, day: int, *, limit: int) -> int:
        shown = (key for key in self.data.item_counts if key.measure == Measure.SHOWN and key.day < day)
        oldest = sorted(shown)[:limit]
        for key in oldest:
            del self.data.item_counts[key]
        return len(oldest)
