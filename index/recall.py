"""Recall: the share of the exact best items that an index finds. Shapes: M queries, D width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray

RECALL_AT = 10
RECALL_BOUND = 0.99  # an approximate index below it does not serve


class Searched(Protocol):
    """A part of an index."""

    def search(self, query: FloatArray, n: int, *, allowed: BoolArray | None = None) -> tuple[IntArray, FloatArray]:
        """As `core.ports.index.ItemIndex`."""
        ...


def recall(
    index: Searched,
    exact: Searched,
    queries: FloatArray,
    *,
    n: int = RECALL_AT,
    filters: Sequence[BoolArray | None] = (None,),
) -> float:
    """The mean recall@n of an index over (M, D) queries and filters, 0 to 1; any item of the n-th score counts.

    `exact`: an exact index of the same rows. The mean leaves out queries for which a filter allows nothing.
    """
    num_found = num_wanted = 0
    for allowed in filters:
        for query in queries:
            _, best = exact.search(query, n, allowed=allowed)
            if not len(best):
                continue
            _, scores = index.search(query, n, allowed=allowed)
            tolerance = 1e-5 * (1 + abs(float(best[-1])))  # exact scores of two kernels differ by rounding
            num_found += min(len(best), int(np.count_nonzero(scores >= best[-1] - tolerance)))
            num_wanted += len(best)
    return num_found / num_wanted if num_wanted else 1.0
