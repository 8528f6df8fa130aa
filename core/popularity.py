"""Time-decayed popularity without periodic updates.

An event of weight w at time t adds w * 2^(t/h) to its item, h being the half-life. Decay scales all items alike, so the
ranking does not depend on "now" or on the order of arrival, and the sums of several writers can be added. The sum is
stored as its log2, which fits a double for any date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.arrays import DoubleArray, IntArray
from core.clock import DAY_MS

DEFAULT_HALF_LIFE_MS = 7 * DAY_MS
SMALLEST_REST = 2.0**-40


@dataclass(frozen=True, slots=True)
class PopularityChanges:
    """The scores that changed since a position. `item_keys`: (n,) ascending; `scores`: (n,) decayed log2 counts.

    `position`: where the next read continues. `restarted`: these are all scores; forget what was read before.
    """

    item_keys: IntArray
    scores: DoubleArray
    position: Mapping[int, int]
    restarted: bool


def decayed_log2(
    item_keys: IntArray, times_ms: IntArray, weights: DoubleArray, *, half_life_ms: float
) -> dict[int, float]:
    """For each item the log2 of its events' decayed weight; weights are > 0."""
    if not len(item_keys):
        return {}
    keys, inverse = np.unique(item_keys, return_inverse=True)
    logs = times_ms / half_life_ms + np.log2(weights)
    highest = np.full(len(keys), -np.inf)
    np.maximum.at(highest, inverse, logs)
    sums = np.bincount(inverse, weights=np.exp2(logs - highest[inverse]))
    return dict(zip(keys.tolist(), (highest + np.log2(sums)).tolist(), strict=True))


def subtract_log2(totals: DoubleArray, taken_back: DoubleArray) -> DoubleArray:
    """(n,) log2 of the differences of two counts; -inf where nothing significant is left.

    A rest below 2^-40 of the total is rounding: it counts as none. That is also so for events that are 40 half-lives
    older than the ones taken back.
    """
    with np.errstate(invalid="ignore"):
        shares = np.where(np.isneginf(taken_back), 0.0, np.exp2(taken_back - totals))
    rests = 1.0 - shares
    kept = rests > SMALLEST_REST
    return np.where(kept, totals + np.log2(np.where(kept, rests, 1.0)), -np.inf)


def add_log2(known: Mapping[int, float], more: Mapping[int, float]) -> dict[int, float]:
    """The scores of `more`, each added to the known score of its item."""
    if not more:
        return {}
    before = np.array([known.get(key, -np.inf) for key in more])
    joined = np.logaddexp2(before, np.fromiter(more.values(), np.float64, len(more)))
    return dict(zip(more, joined.tolist(), strict=True))
