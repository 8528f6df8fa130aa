"""Propensities: how likely each drawn item of an answer was to reach its position and to stand there.

An item that already stands higher in a list cannot stand at a later position, so its probability there, given the items
before, is 0 in some lists and says too much in others: weights of 1 / that probability have a mean below 1. The
propensity of item x at position k is therefore

    p_k(x) * product over the positions j < k of (1 - p_j(x))

where p_j(x) is the probability that j shows x, given the items shown before j. A weight of 1 / propensity then has mean
1 for every item and position, whatever the items before were: each factor (1 - p_j(x)) divides the probability that x
was not shown at j (inverse probability of censoring weights; J. Robins, A. Rotnitzky, "Recovery of information and
adjustment for dependent censoring using surrogate markers", 1992). This is what the item-position model needs.

The mean is lower for an item that only some lists leave a chance: outside the pools, or kept out by a cap.

Independent of users, models and stores. Shapes: S drawn positions of one answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.arrays import DoubleArray
from core.scenarios.pools import Chances, Pools

MIN_PROPENSITY = 1e-30  # above 0 as a float32, too


def propensities(rows: Sequence[int], chances: Sequence[Chances], pools: Pools) -> DoubleArray:
    """(S,) the propensities of the rows that stand at S positions, each with its chances, in order.

    No row may have been blocked before its position, as rows of one page are that pools contain.
    """
    shown = np.array(rows, np.int64)
    ranked, new, best, best_rows = np.array(chances, np.float64).T  # (S,) each; rows are below 2^53
    # [k, j]: the probability that position j shows the item of position k.
    table = np.outer(pools.ranked_holds(shown), ranked) + np.outer(pools.new_holds(shown), new)
    table += (shown[:, None] == best_rows) * best
    earlier: DoubleArray = np.prod(1 - np.tril(table, -1), axis=1)
    joint: DoubleArray = np.clip(earlier * np.diagonal(table), MIN_PROPENSITY, 1.0)
    return joint
