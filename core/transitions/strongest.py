"""The strongest neighbours of an item, kept current: a weight that is added costs one search, not a sort of all counts.

Independent of what a count means. Shapes: m neighbours of an item, s of them the strongest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from core.arrays import DoubleArray, FloatArray, IntArray, best_places


class Neighbours(NamedTuple):
    """The strongest neighbours of an item. `keys`: (s,) item keys, ascending; `counts`: (s,); `total`: of all."""

    keys: IntArray
    counts: FloatArray
    total: float

    def without(self, item_key: int, weight: float) -> Neighbours:
        """As they were before a weight of one neighbour was counted; one that is not kept changes the total alone."""
        lowered = np.maximum(self.counts - np.float32(weight), np.float32(0))
        return Neighbours(
            self.keys, np.where(self.keys == item_key, lowered, self.counts), max(self.total - weight, 0.0)
        )


class StrongestNeighbours(NamedTuple):
    """Those of the highest counts, of equal ones those of the lowest keys.

    Counts are sums rounded to float32. `keys`: (s,) ascending; `sums`: (s,) unrounded; `total`: of all m counts.
    """

    keys: IntArray
    sums: DoubleArray
    total: float

    @classmethod
    def of(cls, keys: IntArray, sums: DoubleArray, *, rest: float, max_neighbours: int) -> StrongestNeighbours:
        """Of (m,) ascending keys and their sums. `rest`: the sum of others."""
        counts = sums.astype(np.float32)
        total = float(counts.sum(dtype=np.float64)) + rest
        if len(keys) > max_neighbours:
            strongest = np.sort(best_places(counts, max_neighbours))
            keys, sums = keys[strongest], sums[strongest]
        return cls(keys.astype(np.int64), sums, total)

    @property
    def neighbours(self) -> Neighbours:
        """With rounded counts."""
        return Neighbours(self.keys, self.sums.astype(np.float32), self.total)

    def place_of(self, key: int) -> tuple[int, bool]:
        """Where a key is or would be among the keys, and whether it is there."""
        place = int(self.keys.searchsorted(key))
        return place, place < len(self.keys) and int(self.keys[place]) == key

    def raised(self, place: int, weight: float) -> StrongestNeighbours:
        """With a positive weight added to the sum at a place."""
        sums = self.sums.copy()
        sums[place] += weight
        return StrongestNeighbours(self.keys, sums, self.total + _rounded(sums[place]) - _rounded(self.sums[place]))

    def joined(self, place: int, key: int, before: float, after: float, *, max_neighbours: int) -> StrongestNeighbours:
        """With another neighbour, whose sum has grown, if it is strong enough; else with another total alone.

        `place`: see `place_of`.
        """
        total = self.total + _rounded(after) - _rounded(before)
        if len(self.keys) < max_neighbours:
            keys = np.concatenate([self.keys[:place], [key], self.keys[place:]])
            return StrongestNeighbours(keys, np.concatenate([self.sums[:place], [after], self.sums[place:]]), total)
        counts = self.sums.astype(np.float32)
        weakest = len(counts) - 1 - int(counts[::-1].argmin())
        if (-_rounded(after), key) > (-float(counts[weakest]), int(self.keys[weakest])):
            return self._replace(total=total)
        keys, sums = self.keys.copy(), self.sums.copy()
        for column in (keys, sums):
            if weakest >= place:
                column[place + 1 : weakest + 1] = column[place:weakest]
            else:
                column[weakest : place - 1] = column[weakest + 1 : place]
        at = place if weakest >= place else place - 1
        keys[at], sums[at] = key, after
        return StrongestNeighbours(keys, sums, total)


def _rounded(number: float) -> float:
    return float(np.float32(number))
