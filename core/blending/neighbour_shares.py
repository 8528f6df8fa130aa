"""Neighbour shares: how often items followed and preceded a user's last items, as the blend reads them.

    share(i) = sum over j of v(j) * count(j, i) / (total(j) + SHRINKAGE)

v(j), proportional to LAST_DECAY^j with a sum of 1, is the weight of the last item j, the newest first. Items that are
left out of the answer count neither as neighbours nor in the totals. Shapes: J last items, m pairs of a last item and
one of its neighbours, k neighbours, n items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import DoubleArray, FloatArray, IntArray, look_up
from core.transitions.strongest import Neighbours

LAST_ITEMS = 10  # of a history, whose neighbours count
LAST_DECAY = 0.8  # the weight of each of them, relative to the one after
SHRINKAGE = 1.0  # added to an item's total count: few observations give small shares
DENSE = 8  # times the number of pairs: up to such keys, a sum for every key costs less than sorting the pairs


@dataclass(frozen=True, slots=True)
class SharePairs:
    """(m,) `codes`: the neighbour, as a place in the ascending `labels`; `last`: the last item, 0 for the newest.

    `terms`: (m,) what the pair adds to the neighbour's share in its direction.
    """

    labels: IntArray
    codes: IntArray
    last: IntArray
    terms: DoubleArray
    num_last: int

    def largest(self, item_keys: IntArray) -> IntArray:
        """(n,) for each of these distinct items the last item that adds most to its shares, -1 where none adds."""
        num_items = len(item_keys)
        places, is_known = look_up(self.labels, item_keys)
        columns = np.full(len(self.labels), -1)
        columns[places[is_known]] = np.flatnonzero(is_known)
        column = columns[self.codes]
        pairs = np.flatnonzero(column >= 0)
        cells = self.last[pairs] * num_items + column[pairs]
        sums = np.bincount(cells, self.terms[pairs], self.num_last * num_items).reshape(self.num_last, num_items)
        return np.where(sums.max(axis=0) > 0, sums.argmax(axis=0), -1)


@dataclass(frozen=True, slots=True)
class NeighbourShares:
    """Items next to the last items. `keys`: (k,) ascending; `forward`, `backward`: (k,) their shares, from `pairs`.

    An item that stood on one side only has the share 0 on the other. `pairs`: None without neighbours.
    """

    keys: IntArray
    forward: FloatArray
    backward: FloatArray
    pairs: SharePairs | None

    @classmethod
    def of(
        cls, followers: Sequence[Neighbours], predecessors: Sequence[Neighbours], hidden: IntArray
    ) -> NeighbourShares:
        """Of the neighbours of J last items, the newest first, at most LAST_ITEMS. `hidden`: keys to leave out."""
        both = [*followers, *predecessors]
        lengths = [len(of_item.keys) for of_item in both]
        if not sum(lengths):
            return NO_SHARES
        lists = np.repeat(np.arange(len(both)), lengths)
        labels, codes = _coded(np.concatenate([of_item.keys for of_item in both]))
        counts = np.concatenate([of_item.counts for of_item in both]).astype(np.float64)
        totals = np.array([of_item.total for of_item in both])
        if len(hidden):
            places, is_known = look_up(labels, hidden)
            is_shown = np.ones(len(labels), np.bool_)
            is_shown[places[is_known]] = False
            shown = counts * is_shown[codes]
            totals -= np.bincount(lists, counts - shown, len(both))
            counts = shown
        weights = LAST_DECAY ** np.arange(len(followers))
        factors = np.tile(weights / weights.sum(), 2) / (np.maximum(totals, 0) + SHRINKAGE)
        terms = counts * factors[lists]
        border = sum(lengths[: len(followers)])
        forward = np.bincount(codes[:border], terms[:border], len(labels))
        backward = np.bincount(codes[border:], terms[border:], len(labels))
        near = np.flatnonzero(forward + backward)
        pairs = SharePairs(labels, codes, lists % len(followers), terms, len(followers))
        return cls(labels[near], forward[near].astype(np.float32), backward[near].astype(np.float32), pairs)


NO_SHARES = NeighbourShares(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.float32), None)


def _coded(keys: IntArray) -> tuple[IntArray, IntArray]:
    """Ascending labels, and for each key its place among them: small keys are their own places."""
    num_labels = int(keys.max()) + 1
    if num_labels <= DENSE * len(keys):
        return np.arange(num_labels), keys
    labels, codes = np.unique(keys, return_inverse=True)
    return labels, codes
