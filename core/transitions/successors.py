"""Successor counts: how often each item follows another, summed from transitions and kept current from their log.

The count of b after a sums, over all transitions to b with a among the previous items, the weight of the distance; the
reverse direction counts at a lower weight; all of it halves with time. Decay scales every count alike, so nothing is
recomputed as time passes. Independent of storage. Shapes: n transitions, m pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.arrays import BoolArray, FloatArray, IntArray
from core.transitions.transition import NO_ITEM, NUM_PREVIOUS, Transition, TransitionChanges

Floats = NDArray[np.float64]

SMALLEST = 1e-6  # in present units: what is left of a pair that was taken back, or is twenty half-lives old
MAX_KEPT = 10_000  # items whose strongest successors are kept until they change
REBUILD_SHARE = 0.25  # of the items changed: from here on all are sorted again


@dataclass(frozen=True, slots=True)
class CountRules:
    """How transitions count.

    `distances`: the weight of the item just before, of the one before that, and so on. `backward`: the weight of the
    reverse direction. `max_successors`: of an item; the strongest are used.
    """

    distances: tuple[float, ...] = (1.0, 1 / 2, 1 / 3)
    backward: float = 0.5
    half_life_weeks: float = 26.0
    max_successors: int = 256

    def __post_init__(self) -> None:
        assert len(self.distances) == NUM_PREVIOUS


class Successors(NamedTuple):
    """The strongest successors of an item, in no particular order.

    `keys`: (s,) item keys; `counts`: (s,) decayed counts in present units; `total`: of all its successors.
    """

    keys: IntArray
    counts: Floats
    total: float


class _Pairs(NamedTuple):
    """(m,) counts of `right` items after `left` ones."""

    left: IntArray
    right: IntArray
    counts: FloatArray

    def take(self, which: IntArray | BoolArray) -> _Pairs:
        """Some of the pairs."""
        return _Pairs(self.left[which], self.right[which], self.counts[which])

    def joined(self, others: Sequence[_Pairs]) -> _Pairs:
        """These and other pairs."""
        parts = [self, *others]
        left, right = ([part.left for part in parts], [part.right for part in parts])
        return _Pairs(np.concatenate(left), np.concatenate(right), np.concatenate([part.counts for part in parts]))


NO_PAIRS = _Pairs(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
NO_SUCCESSORS = Successors(np.empty(0, np.int64), np.empty(0, np.float64), 0.0)


class SuccessorCounts:
    """The counts of all items in memory. One thread applies changes; any thread reads."""

    def __init__(self, rules: CountRules | None = None) -> None:
        self.rules = rules or CountRules()
        self.position: dict[int, int] = {}  # of the log, up to which transitions are counted
        self._origin_week: int | None = None  # counts are kept in units of this week
        self._newest_week = 0
        self._pairs = NO_PAIRS
        self._changed: dict[int, tuple[IntArray, FloatArray]] = {}  # items whose counts differ from `_pairs`
        self._strongest: dict[int, Successors] = {}

    def __len__(self) -> int:
        """The number of items with successors."""
        return len(np.unique(np.append(self._pairs.left, np.fromiter(self._changed, np.int64, len(self._changed)))))

    def apply(self, changes: TransitionChanges) -> None:
        """Count what the log added."""
        if changes.restarted:
            self._origin_week, self._newest_week = None, 0
            self._pairs, self._changed, self._strongest = NO_PAIRS, {}, {}
        if len(changes.rows):
            self._count(changes.rows)
        self.position = dict(changes.position)

    def after(self, item_key: int) -> Successors:
        """The strongest successors of an item; empty for an item without any."""
        known = self._strongest.get(item_key)
        if known is None:
            known = self._cut(*self._of(item_key))
            if len(self._strongest) >= MAX_KEPT:
                self._strongest = {}
            self._strongest[item_key] = known
        return known

    def _count(self, rows: IntArray) -> None:
        columns = Transition(*rows.T)
        newest = int(np.max(columns.week))
        if self._origin_week is None:
            self._origin_week = self._newest_week = newest
        elif newest > self._newest_week:
            self._newest_week, self._strongest = newest, {}  # present units have changed
        added = self._summed(self._pairs_of(columns))
        if not len(added.left):
            return
        items, starts = np.unique(added.left, return_index=True)
        if len(items) > REBUILD_SHARE * len(self._pairs.left):
            self._fold(added)
            return
        for item, right, counts in zip(
            items.tolist(), np.split(added.right, starts[1:]), np.split(added.counts, starts[1:]), strict=True
        ):
            known_right, known_counts = self._of(item)
            self._strongest.pop(item, None)
            self._changed[item] = _merged(
                np.concatenate([known_right, right]), np.concatenate([known_counts, counts]), self._smallest
            )
        if len(self._changed) > REBUILD_SHARE * len(self._pairs.left):
            self._fold(NO_PAIRS)

    def _pairs_of(self, columns: Transition) -> _Pairs:
        """All pairs of (n,) transitions in both directions."""
        decay = np.exp2((np.asarray(columns.week) - self._origin_week) / self.rules.half_life_weeks)
        weights = np.asarray(columns.sign) * decay
        left, right, counts = [], [], []
        for previous, distance in zip(columns[NUM_PREVIOUS:], self.rules.distances, strict=True):
            previous_keys, item_keys = np.asarray(previous), np.asarray(columns.item_key)
            known = (previous_keys != NO_ITEM) & (previous_keys != item_keys)
            left += [previous_keys[known], item_keys[known]]
            right += [item_keys[known], previous_keys[known]]
            counts += [distance * weights[known], self.rules.backward * distance * weights[known]]
        return _Pairs(np.concatenate(left), np.concatenate(right).astype(np.int32), np.concatenate(counts))

    def _summed(self, pairs: _Pairs) -> _Pairs:
        """Each pair once, sorted by (left, right)."""
        left, right, counts = pairs.take(np.lexsort((pairs.right, pairs.left)))
        is_first = np.append(True, (np.diff(left) != 0) | (np.diff(right) != 0)) if len(left) else np.empty(0, bool)
        starts = np.flatnonzero(is_first)
        sums = np.add.reduceat(counts, starts) if len(starts) else counts
        return _Pairs(left[starts], right[starts], sums.astype(np.float32))

    def _fold(self, added: _Pairs) -> None:
        """Sort everything again: the pairs, what changed since, and what is added."""
        changed = np.fromiter(self._changed, np.int64, len(self._changed))
        kept = ~np.isin(self._pairs.left, changed)
        parts = [_Pairs(np.full(len(right), item), right, counts) for item, (right, counts) in self._changed.items()]
        summed = self._summed(self._pairs.take(kept).joined([added, *parts]))
        self._pairs, self._changed, self._strongest = summed.take(summed.counts > self._smallest), {}, {}

    @property
    def _smallest(self) -> float:
        return SMALLEST / self._to_present

    @property
    def _to_present(self) -> float:
        """From kept units to those of the newest week."""
        return float(np.exp2(((self._origin_week or 0) - self._newest_week) / self.rules.half_life_weeks))

    def _of(self, item_key: int) -> tuple[IntArray, FloatArray]:
        known = self._changed.get(item_key)
        if known is not None:
            return known
        pairs = self._pairs
        part = slice(*np.searchsorted(pairs.left, [item_key, item_key + 1]))
        return pairs.right[part], pairs.counts[part]

    def _cut(self, right: IntArray, counts: FloatArray) -> Successors:
        if not len(right):
            return NO_SUCCESSORS
        present = counts.astype(np.float64) * self._to_present
        total = float(present.sum())
        if len(right) > self.rules.max_successors:
            strongest = np.lexsort((right, -present))[: self.rules.max_successors]
            right, present = right[strongest], present[strongest]
        return Successors(right.astype(np.int64), present, total)


def _merged(right: IntArray, counts: FloatArray, smallest: float) -> tuple[IntArray, FloatArray]:
    keys, inverse = np.unique(right, return_inverse=True)
    sums = np.bincount(inverse, weights=counts).astype(np.float32)
    lasting = sums > smallest
    return keys[lasting], sums[lasting]
