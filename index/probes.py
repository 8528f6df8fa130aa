"""How many inverted lists a search must scan to find the best items down to a depth; measured, not assumed.

Shapes: M queries, C lists, N items.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from core.arrays import FloatArray
from index.clusters import Clusters
from index.exact import ExactIndex

DEPTHS = (10, 100, 250, 500, 1000)  # the best of all items by rank: those of an answer and those that it leaves out
TARGET = 0.998  # share of these items whose list is scanned; other queries than those tuned on need more lists


@dataclass(frozen=True, slots=True)
class ProbeCounts:
    """For each of `DEPTHS` the number of lists to scan; below the last depth all `num_lists`."""

    num_probes: tuple[int, ...]
    num_lists: int

    @classmethod
    def tuned(cls, exact: ExactIndex, clusters: Clusters, queries: FloatArray) -> Self:
        """From the ranks of the lists in which the best items of (M, D) queries are."""
        means = clusters.means
        ranks = np.empty((len(queries), min(DEPTHS[-1], len(exact))), np.int64)
        for number, query in enumerate(queries):
            rows, _ = exact.search(query, ranks.shape[1])
            rank_of_list = np.empty(len(means), np.int64)
            rank_of_list[np.argsort(-(means @ query), kind="stable")] = np.arange(len(means))
            ranks[number] = rank_of_list[clusters.lists[np.searchsorted(exact.rows, rows)]]
        counts = [int(np.quantile(ranks[:, :depth], TARGET)) + 1 for depth in DEPTHS]
        return cls(tuple(np.maximum.accumulate(counts).tolist()), len(means))

    def doubled(self) -> ProbeCounts | None:
        """Twice as many lists; None where these are all already."""
        if min(self.num_probes) >= self.num_lists:
            return None
        return ProbeCounts(tuple(min(self.num_lists, 2 * num) for num in self.num_probes), self.num_lists)

    def at(self, depth: int) -> int:
        """The lists to scan for an answer that lies among the best `depth` items."""
        for limit, num in zip(DEPTHS, self.num_probes, strict=True):
            if depth <= limit:
                return num
        return self.num_lists
