"""Item values: the part of a blended score that is the same for all users, sorted once per serving snapshot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from core.blending.blend import Blend, ItemCounts, shares_of
from core.items import Catalogue
from core.transitions.counts import TransitionCounts

GROWTH = 4  # of the part of the order that is scanned


@dataclass(frozen=True, slots=True)
class ItemValues:
    """A value for every item: (N,) `values` by catalogue row, finite; all rows by descending value; the mean value."""

    values: FloatArray
    descending: IntArray
    mean: float

    @classmethod
    def of(cls, values: FloatArray) -> ItemValues:
        """Sorted; equal values by row."""
        return cls(values, np.argsort(-values, kind="stable"), float(values.mean()) if len(values) else 0.0)

    def for_successor(self, blend: Blend, old: Catalogue, catalogue: Catalogue) -> ItemValues | None:
        """The same values for a catalogue made from `old`, new items as items without events; None if rows moved."""
        num_new = len(catalogue) - len(old)
        if not num_new:
            return self
        if not catalogue.extends(old):
            return None
        nothing = np.zeros(num_new)
        new = blend.item_part(ItemCounts(nothing, nothing, nothing))
        place = np.searchsorted(-self.values[self.descending], -new[0], side="right")
        rows = np.insert(self.descending, place, np.arange(len(old), len(catalogue)))
        return ItemValues(np.append(self.values, new), rows, self.mean)

    def best(self, n: int, allowed: BoolArray) -> IntArray:
        """The first n allowed rows by value; the scan stops as soon as it has them."""
        parts: list[IntArray] = []
        missing, begin, step = n, 0, GROWTH * n
        while missing > 0 and begin < len(self.descending):
            rows = self.descending[begin : begin + step]
            parts.append(rows[allowed[rows]][:missing])
            missing, begin, step = missing - len(parts[-1]), begin + step, step * GROWTH
        return np.concatenate(parts) if parts else np.empty(0, np.int64)


def item_values(blend: Blend, catalogue: Catalogue, popularity: DoubleArray, counts: TransitionCounts) -> ItemValues:
    """The values of a catalogue. `popularity`: (N,) decayed log2 counts, -inf for items without events."""
    highest = popularity.max(initial=-np.inf)
    recent = np.exp2(popularity - highest) if np.isfinite(highest) else np.zeros(len(popularity))
    known = ItemCounts(shares_of(recent), counts.shares(catalogue.keys), counts.num_events(catalogue.keys))
    return ItemValues.of(blend.item_part(known))
