"""Neighbour counts: how often each item stood next to another in one direction, kept current by additions.

Independent of what a count means and of how it decays: counts are sums of given weights. Shapes: m pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray

MAX_KEPT = 10_000  # items whose strongest neighbours are kept until they change
FOLD_SHARE = 0.25  # of the pairs: when this many items have changed, everything is sorted again


class Neighbours(NamedTuple):
    """The strongest neighbours of an item. `keys`: (s,) item keys, ascending; `counts`: (s,); `total`: of all."""

    keys: IntArray
    counts: FloatArray
    total: float


class Pairs(NamedTuple):
    """(m,) weights of pairs of item keys: the item, and its neighbour."""

    items: IntArray
    neighbours: IntArray
    weights: FloatArray

    def take(self, which: IntArray | BoolArray) -> Pairs:
        """Some of the pairs."""
        return Pairs(self.items[which], self.neighbours[which], self.weights[which])

    def summed(self) -> Pairs:
        """Each pair once, sorted by (item, neighbour)."""
        keys = (self.items << 32) | self.neighbours  # one sort of integers is faster than one of pairs
        order = np.argsort(keys)
        starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        sums = np.add.reduceat(self.weights[order], starts) if len(starts) else self.weights
        first = order[starts]
        return Pairs(self.items[first], self.neighbours[first], sums)


def joined(parts: Sequence[Pairs]) -> Pairs:
    """All pairs of several parts."""
    items, neighbours = [part.items for part in parts], [part.neighbours for part in parts]
    return Pairs(np.concatenate(items), np.concatenate(neighbours), np.concatenate([part.weights for part in parts]))


NO_PAIRS = Pairs(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))


class NeighbourCounts:
    """The counts of one direction in memory. One thread adds; any thread reads."""

    def __init__(self, *, max_neighbours: int) -> None:
        self._max_neighbours = max_neighbours
        self._pairs = NO_PAIRS
        self._changed: dict[int, tuple[IntArray, FloatArray]] = {}  # items whose counts differ from `_pairs`
        self._strongest: dict[int, Neighbours] = {}

    def add(self, pairs: Pairs, *, smallest: float) -> None:
        """Add weights, which may be negative; a count of at most `smallest` is forgotten."""
        pairs = pairs.summed()
        if not len(pairs.items):
            return
        items, starts = np.unique(pairs.items, return_index=True)
        if len(items) + len(self._changed) > FOLD_SHARE * len(self._pairs.items):
            self._fold(pairs, smallest)
            return
        neighbours, weights = np.split(pairs.neighbours, starts[1:]), np.split(pairs.weights, starts[1:])
        for item, added, added_weights in zip(items.tolist(), neighbours, weights, strict=True):
            known, counts = self._all(item)
            keys, inverse = np.unique(np.concatenate([known, added]), return_inverse=True)
            sums = np.bincount(inverse, weights=np.concatenate([counts, added_weights])).astype(np.float32)
            lasting = sums > smallest
            self._changed[item] = keys[lasting], sums[lasting]
            self._strongest.pop(item, None)

    def of(self, item_key: int) -> Neighbours:
        """The strongest neighbours of an item; none for an unknown item."""
        neighbours = self._strongest.get(item_key)
        if neighbours is None:
            neighbours = self._cut(*self._all(item_key))
            if len(self._strongest) >= MAX_KEPT:
                self._strongest = {}
            self._strongest[item_key] = neighbours
        return neighbours

    def _fold(self, added: Pairs, smallest: float) -> None:
        """Sort everything again: the pairs, what changed since, and what is added."""
        changed = np.fromiter(self._changed, np.int64, len(self._changed))
        kept = self._pairs.take(~np.isin(self._pairs.items, changed))
        parts = [Pairs(np.full(len(keys), item), keys, counts) for item, (keys, counts) in self._changed.items()]
        summed = joined([kept, added, *parts]).summed()
        lasting = summed.take(summed.weights > smallest)
        packed = Pairs(lasting.items, lasting.neighbours.astype(np.int32), lasting.weights.astype(np.float32))
        self._pairs, self._changed, self._strongest = packed, {}, {}

    def _all(self, item_key: int) -> tuple[IntArray, FloatArray]:
        changed = self._changed.get(item_key)
        if changed is not None:
            return changed
        part = slice(*np.searchsorted(self._pairs.items, [item_key, item_key + 1]))
        return self._pairs.neighbours[part], self._pairs.weights[part]

    def _cut(self, keys: IntArray, counts: FloatArray) -> Neighbours:
        total = float(counts.sum(dtype=np.float64))
        if len(keys) > self._max_neighbours:
            strongest = np.sort(np.lexsort((keys, -counts))[: self._max_neighbours])
            keys, counts = keys[strongest], counts[strongest]
        return Neighbours(keys.astype(np.int64), counts, total)
