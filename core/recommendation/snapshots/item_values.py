"""Item values: the part of a blended score that is the same for all users, sorted once per serving snapshot."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from core.blending.blend import Blend, ItemCounts, shares_of
from core.blending.untrained import TrainedRows
from core.catalogue.items import Catalogue
from core.transitions.counts import TransitionCounts

GROWTH = 4  # of the part of the order that is scanned
LONG_S = 0.02  # of CPU to compute item values: some 100,000 items
VALUES_PAUSE = 50  # a long computation is followed by a pause of 50 times its length: at most 2% of a core


@dataclass(frozen=True, slots=True)
class ItemValues:
    """A value for every item: (N,) `values` by catalogue row, finite; all rows by descending value; the mean value.

    `gains`: (N,) see `Blend.gains`; `values` hold those above 0.
    """

    values: FloatArray
    descending: IntArray
    mean: float
    gains: FloatArray

    @classmethod
    def of(cls, values: FloatArray, gains: FloatArray) -> ItemValues:
        """Sorted; equal values by row."""
        return cls(values, np.argsort(-values, kind="stable"), float(values.mean()) if len(values) else 0.0, gains)

    def for_successor(
        self, blend: Blend, old: Catalogue, catalogue: Catalogue, trained: TrainedRows
    ) -> ItemValues | None:
        """The same values for a catalogue made from `old`, new items as items without events; None if rows moved."""
        num_new = len(catalogue) - len(old)
        if not num_new:
            return self
        if not catalogue.extends(old):
            return None
        nothing, new_rows = np.zeros(num_new), np.arange(len(old), len(catalogue))
        logs = ItemCounts(nothing, nothing, nothing).logs()
        gains = blend.gains(logs, trained(new_rows))
        new = blend.item_part(logs, gains)
        order = np.argsort(-new, kind="stable")
        positions = np.searchsorted(-self.values[self.descending], -new[order], side="right")
        rows = np.insert(self.descending, positions, new_rows[order])
        return ItemValues(np.append(self.values, new), rows, self.mean, np.append(self.gains, gains))

    def best(self, n: int, allowed: BoolArray) -> IntArray:
        """The first n allowed rows by value; the scan stops as soon as it has them."""
        parts: list[IntArray] = []
        missing, begin, step = n, 0, GROWTH * n
        while missing > 0 and begin < len(self.descending):
            rows = self.descending[begin : begin + step]
            parts.append(rows[allowed[rows]][:missing])
            missing, begin, step = missing - len(parts[-1]), begin + step, step * GROWTH
        return np.concatenate(parts) if parts else np.empty(0, np.int64)


class ItemValuesKeeper:
    """Computes the item values of successive snapshots; where that takes long, less often than there are snapshots."""

    def __init__(self) -> None:
        self._due_s = 0.0

    def values(
        self,
        blend: Blend,
        catalogue: Catalogue,
        popularity: DoubleArray,
        counts: TransitionCounts,
        trained: TrainedRows,
        *,
        old: tuple[ItemValues, Catalogue] | None,
        is_same: bool,
    ) -> ItemValues:
        """New values; the old ones where nothing has changed (`is_same`) or the next computation is not due yet."""
        if old is not None and (is_same or time.monotonic() < self._due_s):
            values = old[0].for_successor(blend, old[1], catalogue, trained)
            if values is not None:
                return values
        begin_s = time.thread_time()
        values = item_values(blend, catalogue, popularity, counts, trained)
        took_s = time.thread_time() - begin_s
        self._due_s = time.monotonic() + (VALUES_PAUSE * took_s if took_s > LONG_S else 0.0)
        return values


def item_values(
    blend: Blend, catalogue: Catalogue, popularity: DoubleArray, counts: TransitionCounts, trained: TrainedRows
) -> ItemValues:
    """The values of a catalogue. `popularity`: (N,) decayed log2 counts, -inf for items without events."""
    highest = popularity.max(initial=-np.inf)
    recent = np.exp2(popularity - highest) if np.isfinite(highest) else np.zeros(len(popularity))
    known = ItemCounts(shares_of(recent), counts.shares(catalogue.keys), counts.num_events(catalogue.keys))
    logs = known.logs()
    gains = blend.gains(logs, trained(np.arange(len(catalogue))))
    return ItemValues.of(blend.item_part(logs, gains), gains)
