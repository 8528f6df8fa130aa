"""Neighbour counts: how often each item stood next to another in one direction, kept current by additions.

Independent of what a count means and of how it decays: counts are sums of given weights. Shapes: m pairs.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.arrays import BoolArray, DoubleArray, FloatArray, IntArray, look_up
from core.transitions.strongest import Neighbours, StrongestNeighbours

MAX_SORTED = 1_000_000  # pairs at once
MAX_KEPT = 10_000  # items whose strongest neighbours are kept until they change
MAX_ADDITIONS = 64  # of an item, until they are merged
MAX_UPDATES = 16  # additions since the strongest neighbours were kept; with more they are found anew
FOLD_SHARE = 0.25  # of the pairs: when this many were added, all are merged into the sorted pairs


class Pairs(NamedTuple):
    """(m,) weights of pairs of item keys: the item, and its neighbour; weights of either precision."""

    items: IntArray
    neighbours: IntArray
    weights: NDArray[Any]

    @property
    def packed(self) -> Pairs:
        """The same in twelve bytes per pair."""
        return Pairs(
            self.items.astype(np.int32, copy=False),
            self.neighbours.astype(np.int32, copy=False),
            self.weights.astype(np.float32, copy=False),
        )

    @property
    def keys(self) -> IntArray:
        """(m,) one integer per pair, in the order of (item, neighbour)."""
        keys: IntArray = (self.items.astype(np.int64) << 32) | self.neighbours
        return keys

    def take(self, which: IntArray | BoolArray) -> Pairs:
        """Some of the pairs."""
        return Pairs(self.items[which], self.neighbours[which], self.weights[which])

    def summed(self) -> Pairs:
        """Each pair once, sorted by (item, neighbour); many pairs by ranges of items, to save memory."""
        if len(self.items) <= MAX_SORTED:
            return _summed(self)
        range_of = (np.cumsum(np.bincount(self.items)) // MAX_SORTED).astype(np.int16)  # by item
        ranges = range_of[self.items]
        return joined([_summed(self.take(np.flatnonzero(ranges == number))) for number in range(range_of[-1] + 1)])

    def with_sums(self, new: Pairs) -> Pairs:
        """These sorted, distinct pairs and others like them; weights of equal ones are added.

        Sorting all of them together would take several times the memory.
        """
        if not len(self.items):
            return new
        keys, new_keys = self.keys, new.keys
        places, is_known = look_up(keys, new_keys)
        weights = self.weights.astype(np.float32)
        weights[places[is_known]] += new.weights[is_known].astype(np.float32)
        added, gaps = new.take(~is_known).packed, np.searchsorted(keys, new_keys[~is_known])
        del keys, new_keys, places  # memory
        return Pairs(
            np.insert(self.items, gaps, added.items),
            np.insert(self.neighbours, gaps, added.neighbours),
            np.insert(weights, gaps, added.weights),
        )


def _summed(pairs: Pairs) -> Pairs:
    keys = pairs.keys  # one sort of integers is faster than one of pairs
    if (keys[1:] > keys[:-1]).all():
        return pairs
    order = np.argsort(keys)
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    sums = np.add.reduceat(pairs.weights[order], starts) if len(starts) else pairs.weights
    first = order[starts]
    return Pairs(pairs.items[first], pairs.neighbours[first], sums)


def joined(parts: Sequence[Pairs]) -> Pairs:
    """All pairs of several parts."""
    items, neighbours = [part.items for part in parts], [part.neighbours for part in parts]
    return Pairs(np.concatenate(items), np.concatenate(neighbours), np.concatenate([part.weights for part in parts]))


def _pairs_of(item: int, neighbours: IntArray, weights: NDArray[Any]) -> Pairs:
    return Pairs(np.full(len(neighbours), item), neighbours, weights)


NO_PAIRS = Pairs(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))
NOTHING: tuple[NDArray[Any], ...] = (*NO_PAIRS, np.empty(0, np.int64), np.empty(0))  # the arrays of counts


class _Additions:
    """Weights that were added to the neighbours of one item, in 16 bytes each."""

    __slots__ = ("_neighbours", "_weights")

    def __init__(self) -> None:
        self._neighbours, self._weights = array("q"), array("d")

    def __len__(self) -> int:
        return len(self._weights)

    def append(self, neighbour: int, weight: float) -> None:
        """Add one; a reader sees both or neither."""
        self._neighbours.append(neighbour)
        self._weights.append(weight)

    def lists(self) -> tuple[array[int], array[float]]:
        """Copies, which the thread that adds cannot disturb: neighbours and their weights, in order."""
        weights = self._weights[:]
        return self._neighbours[: len(weights)], weights

    def columns(self) -> tuple[IntArray, DoubleArray]:
        """The same for numpy."""
        neighbours, weights = self.lists()
        return np.frombuffer(neighbours, np.int64), np.frombuffer(weights, np.float64)


_Counts = tuple[IntArray, FloatArray]  # of the neighbours of an item, by ascending key


class _Kept(NamedTuple):
    """The strongest neighbours of an item with what they were found from, and how many additions they include."""

    strongest: StrongestNeighbours
    merged: _Counts | None
    added: _Additions | None
    num_added: int

    def lacks_only_additions(self, merged: _Counts | None, added: _Additions | None) -> bool:
        """Whether an item with these counts and additions differs at most by additions that came since."""
        return self.merged is merged and (self.added is None or self.added is added)


class _State(NamedTuple):
    """What is counted: sorted pairs, items merged since, and the weights that were added to items since that.

    `rest`: by item the sum of the weak counts that were left out.
    """

    pairs: Pairs
    rest: dict[int, float]
    merged: dict[int, _Counts]
    added: dict[int, _Additions]


class NeighbourCounts:
    """The counts of one direction in memory. One thread adds; any thread reads.

    Additions are appended to their items, merged into all counts of an item when it has many, and into the sorted pairs
    when all have. Then the weakest neighbours of an item with more than `max_stored` are left out, so that memory is
    bounded by the number of items: they stay in its total, and count from 0 if they come again.
    """

    def __init__(self, arrays: Sequence[NDArray[Any]] | None = None, *, max_neighbours: int, max_stored: int) -> None:
        """`arrays`: what those of other counts were, which may lie in files."""
        self._max_neighbours = max_neighbours
        self._max_stored = max_stored
        items, neighbours, weights, rest_items, rest = arrays or NOTHING
        rest_by_item = dict(zip(rest_items.tolist(), rest.tolist(), strict=True))
        self._state = _State(Pairs(items, neighbours, weights), rest_by_item, {}, {})
        self._num_added = 0
        self._smallest = 0.0
        self._kept: dict[int, _Kept] = {}

    def add(self, pairs: Pairs, *, smallest: float) -> None:
        """Add weights, which may be negative; a count of at most `smallest` is forgotten."""
        self._smallest = smallest
        self._num_added += len(pairs.items)
        if self._num_added > FOLD_SHARE * len(self._state.pairs.items):
            self._fold(pairs)
            return
        added = self._state.added
        for item, neighbour, weight in zip(
            pairs.items.tolist(), pairs.neighbours.tolist(), pairs.weights.tolist(), strict=True
        ):
            additions = added.get(item)
            if additions is None:
                additions = added[item] = _Additions()
            additions.append(neighbour, weight)
            if len(additions) >= MAX_ADDITIONS:
                self._merge(item)

    def arrays(self) -> tuple[NDArray[Any], ...]:
        """Items, neighbours and counts; items and the sums of what was left out of them. For the thread that adds."""
        self._fold(NO_PAIRS)
        pairs, rest = self._state.pairs, self._state.rest
        return (*pairs, np.array(list(rest), np.int64), np.array(list(rest.values()), np.float64))

    def of(self, item_key: int) -> Neighbours:
        """The strongest neighbours of an item; none for an unknown item."""
        all_kept = self._kept  # before the state: an old answer is never kept beside a newer state
        state = self._state
        added, merged = state.added.get(item_key), state.merged.get(item_key)
        num_added = 0 if added is None else len(added)
        kept = all_kept.get(item_key)
        known = kept if kept is not None and kept.lacks_only_additions(merged, added) else None
        if known is not None and known.num_added == num_added:
            return known.strongest.neighbours
        before = self._before(state, item_key, merged)
        updated = None if known is None or added is None else self._updated(known, before, added, num_added)
        if updated is None:
            keys, sums = self._sums(before, added, num_added)
            rest = state.rest.get(item_key, 0.0)
            updated = StrongestNeighbours.of(keys, sums, rest=rest, max_neighbours=self._max_neighbours)
        if kept is None and len(all_kept) >= MAX_KEPT:
            all_kept.clear()
        all_kept[item_key] = _Kept(updated, merged, added, num_added)
        return updated.neighbours

    def _merge(self, item: int) -> None:
        """Merge an item's additions. A reader between the two last lines counts them twice, until its next read."""
        state = self._state
        added = state.added[item]
        keys, sums = self._sums(self._before(state, item, state.merged.get(item)), added, len(added))
        state.merged[item] = keys, sums.astype(np.float32)
        del state.added[item]

    def _fold(self, more: Pairs) -> None:
        """Merge what changed since the last time, and what is added, into the sorted pairs."""
        pairs, rest, merged, added = self._state
        if merged:
            pairs = pairs.take(~np.isin(pairs.items, np.fromiter(merged, np.int32, len(merged))))
            pairs = pairs.with_sums(joined([_pairs_of(item, *merged[item]) for item in sorted(merged)]))
        new = [more, *(_pairs_of(item, *additions.columns()) for item, additions in added.items())]
        pairs = pairs.with_sums(joined(new).summed())
        lasting = pairs.weights > self._smallest
        if not lasting.all():
            rest = _with_taken_back(rest, pairs.take(pairs.weights < -self._smallest))
            pairs = pairs.take(lasting)
        pairs, rest = self._bounded(pairs.packed, rest)
        self._state, self._kept, self._num_added = _State(pairs, rest, {}, {}), {}, 0

    def _bounded(self, pairs: Pairs, rest: Mapping[int, float]) -> tuple[Pairs, dict[int, float]]:
        """Without the weakest neighbours of items that have too many."""
        edges = np.flatnonzero(np.diff(pairs.items, prepend=-1, append=-1))
        long = np.flatnonzero(np.diff(edges) > self._max_stored)
        new_rest, is_kept = dict(rest), np.ones(len(pairs.items), np.bool_)
        for begin, end in zip(edges[long].tolist(), edges[long + 1].tolist(), strict=True):
            weights = pairs.weights[begin:end]
            weak = np.argpartition(weights, -self._max_stored)[: -self._max_stored]
            item = int(pairs.items[begin])
            new_rest[item] = new_rest.get(item, 0.0) + float(weights[weak].sum(dtype=np.float64))
            is_kept[begin + weak] = False
        return (pairs.take(is_kept) if len(long) else pairs), new_rest

    @staticmethod
    def _before(state: _State, item_key: int, merged: _Counts | None) -> _Counts:
        """An item's neighbours and their counts without its additions, by ascending key."""
        if merged is not None:
            return merged
        ends = np.array([item_key, item_key + 1], state.pairs.items.dtype)  # another type would copy all items
        part = slice(*np.searchsorted(state.pairs.items, ends))
        return state.pairs.neighbours[part], state.pairs.weights[part]

    def _sums(self, before: _Counts, added: _Additions | None, num_added: int) -> tuple[IntArray, DoubleArray]:
        """All neighbours of an item and the sums of their weights, by ascending key."""
        keys, counts = before
        if added is None:
            return keys, counts.astype(np.float64)
        neighbours, weights = added.columns()
        keys, sums = _with_additions(keys, counts, neighbours[:num_added], weights[:num_added])
        lasting = sums.astype(np.float32) > self._smallest
        return keys[lasting], sums[lasting]

    def _updated(self, kept: _Kept, before: _Counts, added: _Additions, num_added: int) -> StrongestNeighbours | None:
        """With the additions since they were kept; None where all counts must be read."""
        neighbours, weights = added.lists()
        if num_added - kept.num_added > MAX_UPDATES or min(weights[kept.num_added : num_added]) <= 0:
            return None
        strongest = kept.strongest
        for number in range(kept.num_added, num_added):
            key, weight = neighbours[number], weights[number]
            place, is_there = strongest.place_of(key)
            if is_there:
                strongest = strongest.raised(place, weight)
                continue
            earlier = [weights[i] for i in range(number) if neighbours[i] == key]
            old = sum(earlier, start=_count_of(key, *before))
            if np.float32(old + weight) > self._smallest:
                lasting = old if np.float32(old) > self._smallest else 0.0
                strongest = strongest.joined(place, key, lasting, old + weight, max_neighbours=self._max_neighbours)
        return strongest


def _count_of(key: int, keys: IntArray, counts: FloatArray) -> float:
    """The count of one of these neighbours, 0 for another one."""
    place = int(keys.searchsorted(keys.dtype.type(key)))
    return float(counts[place]) if place < len(keys) and keys[place] == key else 0.0


def _with_taken_back(rest: Mapping[int, float], negative: Pairs) -> dict[int, float]:
    """What is taken back of pairs that were left out is taken from the sums of those."""
    lowered = dict(rest)
    for item, weight in zip(negative.items.tolist(), negative.weights.tolist(), strict=True):
        if item in lowered:
            lowered[item] = max(lowered[item] + weight, 0.0)
    return lowered


def _with_additions(
    keys: IntArray, counts: FloatArray, added_keys: IntArray, weights: DoubleArray
) -> tuple[IntArray, DoubleArray]:
    """Sums by ascending key with some weights added, which are few beside the keys."""
    distinct, inverse = np.unique(added_keys, return_inverse=True)
    places, is_known = look_up(keys, distinct)
    new = distinct[~is_known]
    if len(new):
        gaps = np.searchsorted(keys, new)
        keys, counts = np.insert(keys, gaps, new), np.insert(counts, gaps, 0)
        places = np.searchsorted(keys, distinct)
    sums = counts.astype(np.float64)
    np.add.at(sums, places[inverse], weights)
    return keys, sums
