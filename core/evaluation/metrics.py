"""Ranking metrics with one relevant item per event, and bootstrap intervals.

Ranks start at 0. Ties share their mean rank, so that the order of items in memory has no effect: a constant scorer
gives every item the middle rank.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.arrays import IntArray

Array = NDArray[np.float64]

DRAWN_AT_ONCE = 2**15  # users, by a bootstrap


def ranks_of(scores: NDArray[np.floating], targets: IntArray) -> Array:
    """(B,) the rank of each line's target by descending (B, N) scores."""
    own = scores[np.arange(len(targets)), targets][:, None]
    above = np.count_nonzero(scores > own, axis=1)
    equal = np.count_nonzero(scores == own, axis=1) - 1
    return np.asarray(above + equal / 2, np.float64)


def hit(ranks: Array, k: int) -> Array:
    """HR@k of each event: 1 if its item is among the first k."""
    return (ranks < k).astype(np.float64)


def ndcg(ranks: Array, k: int) -> Array:
    """NDCG@k of each event: 1/log2(rank + 2) within the first k."""
    return np.where(ranks < k, 1.0 / np.log2(ranks + 2.0), 0.0)


def mrr(ranks: Array, k: int) -> Array:
    """MRR@k of each event: 1/(rank + 1) within the first k."""
    return np.where(ranks < k, 1.0 / (ranks + 1.0), 0.0)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95% interval."""

    mean: float
    low: float
    high: float


def bootstrap_over_users(values: Array, users: IntArray, *, num_resamples: int = 2000, seed: int = 0) -> Interval:
    """The mean of (n,) values per event with a 95% percentile interval from resampling users.

    The events of a user are not independent, so users are resampled. For a paired comparison pass differences.
    """
    if not len(values):
        msg = "values: wanted at least one event, got none"
        raise ValueError(msg)
    _, inverse = np.unique(users, return_inverse=True)
    sums = np.bincount(inverse, weights=values)
    sizes = np.bincount(inverse).astype(np.float64)
    random = np.random.default_rng(seed)
    num_users = len(sums)
    at_once = max(1, DRAWN_AT_ONCE // num_users)  # all resamples of many users do not fit in memory
    means = np.empty(num_resamples)
    for begin in range(0, num_resamples, at_once):
        part = means[begin : begin + at_once]
        drawn = random.integers(0, num_users, size=(len(part), num_users), dtype=np.int64)
        part[:] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))
