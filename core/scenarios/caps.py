"""Caps: at most so many items of one answer share a category or a value of an attribute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from core.arrays import IntArray
from core.catalogue.attributes import Condition, as_text
from core.catalogue.filters import CATEGORIES, rows_with
from core.catalogue.items import Catalogue
from core.scenarios.scenario import Cap


class Caps:
    """Counts the values of the items of one answer."""

    def __init__(self, catalogue: Catalogue, caps: Sequence[Cap]) -> None:
        self._catalogue = catalogue
        self._caps = caps
        self._counts: Counter[tuple[str, str]] = Counter()

    def place(self, row: int) -> Iterator[IntArray]:
        """Count an item of the answer; the rows of each value that is full now and can be in no further item."""
        for cap in self._caps:
            for value in self._values(row, cap.name):
                self._counts[cap.name, value] += 1
                if self._counts[cap.name, value] == cap.num:
                    yield rows_with(self._catalogue, Condition(cap.name, (value,)))

    def _values(self, row: int, name: str) -> tuple[str, ...]:
        if name == CATEGORIES:
            return self._catalogue.categories[row]
        value = self._catalogue.attributes[row].get(name) if self._catalogue.attributes else None
        return () if value is None else (as_text(value),)
