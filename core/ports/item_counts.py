"""The repository of counts by item and day. Writers have separate counts and never wait for each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from core.arrays import IntArray
from core.records.item_counts import ItemCounts

ItemDimension = Literal["item", "day"]


class ItemCountReader(Protocol):
    """Reads counts by item. Days are from one to another, both included; counts are summed over all writers."""

    def of_items(
        self, item_keys: Sequence[int], *, measures: Sequence[int], since_day: int, until_day: int
    ) -> ItemCounts:
        """These counts of these items: a look-up for each item, measure and day."""
        ...

    def totals(self, by: ItemDimension, *, measures: Sequence[int], since_day: int, until_day: int) -> IntArray:
        """(n, 3) item key or day, measure, number, ascending. Costs what is stored of these measures and days."""
        ...


class ItemCountRepository(ItemCountReader, Protocol):
    """Reads and writes counts by item."""

    def add(self, writer_key: int, counts: ItemCounts) -> None:
        """Add to this writer's counts."""
        ...

    def clear(self) -> None:
        """Delete the counts that come from events; those from answers stay."""
        ...

    def delete_shown_before(self, day: int, *, limit: int) -> int:
        """Delete at most `limit` counts of items shown before a day; returns how many."""
        ...
