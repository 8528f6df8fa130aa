"""Change-point test: the most likely change of the topic mix in a sequence of visits, with a permutation test.

The events of a visit are not independent, so that visits are the unit. Every cut between two visits is scored by a
chi-square of the topic shares on its two sides. The visits are then shuffled: the score is the share of shuffles whose
best cut is worse, so that a score above 1 - x has a false-positive rate of x (docs/drift.md measures it). Independent
of users, items and time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

NUM_SHUFFLES = 499  # resolution of the score: 0.2 %
MIN_VISITS = 8  # fewer have too few permutations
MIN_SIDE = 2  # visits on each side: a single visit is noise
SMALLEST_SHARE = 0.1  # limits the weight of a rare topic


@dataclass(frozen=True, slots=True)
class Shift:
    """The best cut. `visit`: the first visit after it. `score`: the share of shuffles whose best cut is worse.

    `before`, `since`: (C,) topic shares on its two sides.
    """

    visit: int
    score: float
    before: FloatArray
    since: FloatArray


def find_shift(visits: FloatArray, *, seed: int, num_shuffles: int = NUM_SHUFFLES) -> Shift | None:
    """The best cut of (V, C) visits in order, with their weights by topic; None with too few visits."""
    num_visits = len(visits)
    if num_visits < MIN_VISITS:
        return None
    rng = np.random.default_rng(seed)
    orders = np.stack([np.arange(num_visits), *(rng.permutation(num_visits) for _ in range(num_shuffles))])
    strengths = _strengths(visits, orders)
    best = strengths.max(axis=1)
    cut = int(strengths[0].argmax()) + MIN_SIDE
    # Ties, frequent with few visits of a single topic, count half.
    worse = np.count_nonzero(best[1:] < best[0] - 1e-9) + np.count_nonzero(np.abs(best[1:] - best[0]) <= 1e-9) / 2
    return Shift(cut, float(worse / (num_shuffles + 1)), _shares(visits[:cut]), _shares(visits[cut:]))


def _strengths(visits: FloatArray, orders: NDArray[np.int64]) -> FloatArray:
    """(R, K) the chi-square of each of K cuts, for each of R orders of the visits."""
    sizes = visits.sum(axis=1)
    shares = visits.sum(axis=0) / sizes.sum()
    # Weighting topics by 1 / share makes the sum a chi-square.
    surplus = (visits - sizes[:, None] * shares) / np.sqrt(np.maximum(shares, SMALLEST_SHARE))
    cuts = slice(MIN_SIDE - 1, len(visits) - MIN_SIDE)
    before = np.cumsum(sizes[orders], axis=1)[:, cuts]
    moved = np.cumsum(surplus[orders], axis=1)[:, cuts]
    total = sizes.sum()
    strengths: FloatArray = (moved**2).sum(axis=2) / (before * (total - before) / total)
    return strengths


def _shares(visits: FloatArray) -> FloatArray:
    summed: FloatArray = visits.sum(axis=0) / visits.sum()
    return summed
