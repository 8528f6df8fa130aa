"""The features of a blend: what the neighbours of a user's last items and recent events say of all items.

Serving, the gate, calibration and evaluation compute them here. Shapes: N items, J last items, k neighbours,
n events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from core.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from core.blending.blend import Blend, share_logs, shares_of
from core.blending.neighbour_shares import LAST_ITEMS, NeighbourShares
from core.transitions.counts import TransitionCounts
from core.transitions.strongest import Neighbours


@dataclass(frozen=True, slots=True)
class LastNeighbours:
    """The followers and predecessors of a history's last items. `last`: (J,) item keys, the newest first."""

    last: IntArray
    followers: Sequence[Neighbours]
    predecessors: Sequence[Neighbours]

    @classmethod
    def of(cls, counts: TransitionCounts, item_keys: IntArray) -> LastNeighbours:
        """Of a history's item keys, oldest first."""
        last = item_keys[: -LAST_ITEMS - 1 : -1]
        keys = last.tolist()
        return cls(last, [counts.after(key) for key in keys], [counts.before(key) for key in keys])

    def before(self, item_key: int, weights: Sequence[float]) -> LastNeighbours:
        """As they were before an event of that item, which came after the last ones and has been counted since.

        `weights`: what it added to the counts of the newest of the last items, see `TransitionCounts.weights_at`.
        """
        added: dict[int, float] = {}
        for key, weight in zip(self.last.tolist(), weights, strict=False):
            if key != item_key:
                added[key] = added.get(key, 0.0) + weight
        last = self.last.tolist()
        followers = [
            of_item.without(item_key, added[key]) if key in added else of_item
            for key, of_item in zip(last, self.followers, strict=True)
        ]
        return LastNeighbours(self.last, followers, self.predecessors)

    def shares(self, hidden: IntArray) -> NeighbourShares:
        """The shares of the neighbours. `hidden`: keys of items to leave out."""
        return NeighbourShares.of(self.followers, self.predecessors, hidden)


class DecayedEvents:
    """(N,) numbers of events by item that halve with time, kept in units of the newest event's time."""

    def __init__(self, num_items: int, *, half_life_ms: float) -> None:
        self._numbers, self._half_life_ms, self._newest_ms = np.zeros(num_items), half_life_ms, 0

    def add(self, rows: IntArray, times_ms: IntArray) -> None:
        """Count (n,) events, at least one; rows below 0 are of no item."""
        newest_ms = max(self._newest_ms, int(times_ms.max()))
        self._numbers *= np.exp2((self._newest_ms - newest_ms) / self._half_life_ms)
        known = rows >= 0
        np.add.at(self._numbers, rows[known], np.exp2((times_ms[known] - newest_ms) / self._half_life_ms))
        self._newest_ms = newest_ms

    def shares(self) -> DoubleArray:
        """(N,) with a sum of 1, or 0 without events."""
        return shares_of(self._numbers)


class BlendFeatures(NamedTuple):
    """(N,) logarithms of the `forward` and `backward` shares; (N, 3) `items`: see `ItemCounts.logs`."""

    forward: FloatArray
    backward: FloatArray
    items: FloatArray

    @classmethod
    def of(
        cls, near: LastNeighbours, hidden: IntArray, items: FloatArray, rows_of: Callable[[IntArray], IntArray]
    ) -> BlendFeatures:
        """After one history. `hidden`: keys of items to leave out; `rows_of`: rows of item keys, -1 for none."""
        shares = near.shares(hidden)
        rows = rows_of(shares.keys)
        known = rows >= 0

        def logs_of(shares_k: FloatArray) -> FloatArray:
            logs_N = np.zeros(len(items), np.float32)
            logs_N[rows[known]] = share_logs(shares_k[known])
            return logs_N

        return cls(logs_of(shares.forward), logs_of(shares.backward), items)

    def scores(self, blend: Blend, encoder_N: FloatArray, trained_N: BoolArray) -> FloatArray:
        """(N,) the blended scores, given those of the encoder and the items that it has been trained on."""
        gains_N = blend.gains(self.items, trained_N)
        neighbours = blend.neighbour_part(self.forward, self.backward, gains_N)
        scores: FloatArray = np.float32(blend.encoder) * encoder_N + neighbours + blend.item_part(self.items, gains_N)
        return scores

    def matrix(self, encoder_N: FloatArray) -> FloatArray:
        """(N, 6) the features in the order of the weights of `Blend`."""
        return np.column_stack([encoder_N, self.forward, self.backward, self.items]).astype(np.float32)
