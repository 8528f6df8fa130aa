"""A shift in what somebody chooses: the one moment in a history at which the mix of topics changed, if any did.

Independent of users, items or time: it gets visits in order, each with how much of it went to which topic.

Events of one visit go together, so single events are no fair sample and visits are the unit. Every cut between two
visits is tried; the best is the one whose two sides differ most (a chi-square of the shares). Shuffling the visits
shows how good the best cut of an unchanged user is: the score is the share of shuffles whose best cut is worse, so a
score above 1 - x is found in a share x of users whose visits come in no particular order (docs/drift.md measures it).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

NUM_SHUFFLES = 499  # a score is exact to 0.2 %
MIN_VISITS = 8  # fewer cannot be put into enough different orders
MIN_SIDE = 2  # visits before and since: one visit may be about anything
SMALLEST_SHARE = 0.1  # a topic that hardly ever came does not outweigh all others when it comes once


@dataclass(frozen=True, slots=True)
class Shift:
    """The best cut. `visit`: the first visit after it. `score`: the share of shuffles whose best cut is worse.

    `before`, `since`: (C,) shares of the topics on its two sides.
    """

    visit: int
    score: float
    before: FloatArray
    since: FloatArray


def find_shift(visits: FloatArray, *, seed: int, num_shuffles: int = NUM_SHUFFLES) -> Shift | None:
    """The best cut of (V, C) visits, V in order, how much of each went to each of C topics; None: too few to tell."""
    num_visits = len(visits)
    if num_visits < MIN_VISITS:
        return None
    rng = np.random.default_rng(seed)
    orders = np.stack([np.arange(num_visits), *(rng.permutation(num_visits) for _ in range(num_shuffles))])
    strengths = _strengths(visits, orders)
    best = strengths.max(axis=1)
    cut = int(strengths[0].argmax()) + MIN_SIDE
    # Half of the ties, which few visits of one topic each have many of, speak for the shift and half against it.
    worse = np.count_nonzero(best[1:] < best[0] - 1e-9) + np.count_nonzero(np.abs(best[1:] - best[0]) <= 1e-9) / 2
    return Shift(cut, float(worse / (num_shuffles + 1)), _shares(visits[:cut]), _shares(visits[cut:]))


def _strengths(visits: FloatArray, orders: NDArray[np.int64]) -> FloatArray:
    """(R, K) how far apart the sides of each of K cuts are, for each of R orders of the visits."""
    sizes = visits.sum(axis=1)
    shares = visits.sum(axis=0) / sizes.sum()
    # Weighing a topic by 1 / its share makes the sum a chi-square.
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
