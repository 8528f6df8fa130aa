"""Sums of transitions by item, to compare two sets of them in memory that grows with items, not with transitions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.arrays import IntArray
from core.transitions.transition import Transition

HashArray = NDArray[np.uint64]
SIGN = Transition._fields.index("sign")
ODD = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63], np.uint64)


class TransitionSums:
    """How many transitions each item has, and the sum of their hashes, both modulo 2^64.

    A transition with sign -1 takes one back. Equal sets have equal sums in any order; different ones differ but for
    a probability of about 2^-64 for each item.
    """

    def __init__(self) -> None:
        self.by_item = np.zeros((0, 2), np.uint64)  # row: item key; columns: number, hashes

    def add(self, rows: IntArray) -> None:
        """Add (n, 6) transitions, the fields of `Transition`."""
        if not len(rows):
            return
        signs = rows[:, SIGN].astype(np.uint64)
        hashes = _hashes(np.delete(rows, [0, SIGN], axis=1).astype(np.uint64))
        self.by_item = self.padded(int(rows[:, 0].max()) + 1)
        np.add.at(self.by_item, rows[:, 0], np.stack([signs, signs * hashes], axis=1))

    def differing_items(self, other: TransitionSums) -> list[int]:
        """The keys of the items whose transitions are not the same, ascending."""
        size = max(len(self.by_item), len(other.by_item))
        return [int(key) for key in np.flatnonzero((self.padded(size) != other.padded(size)).any(axis=1))]

    def describe(self, item_key: int) -> str:
        """Number and hash of an item's transitions, as text."""
        num, total = self.padded(item_key + 1)[item_key].astype(np.int64).tolist()
        return f"{num} (hash {total & 0xFFFFFFFF:08x})"

    def padded(self, size: int) -> HashArray:
        """The sums with zeros up to an item key."""
        return np.pad(self.by_item, ((0, max(0, size - len(self.by_item))), (0, 0)))


def _hashes(columns: HashArray) -> HashArray:
    """(n,) one hash of each row of (n, 4), whose bits all depend on all columns."""
    mixed = (columns + np.uint64(1)) * ODD
    mixed ^= mixed >> np.uint64(29)
    hashes: HashArray = mixed.sum(axis=1, dtype=np.uint64) * ODD[0]
    return hashes ^ (hashes >> np.uint64(32))
