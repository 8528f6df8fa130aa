"""The blended ranker: the best items of a sum of three parts over the whole catalogue, exactly.

    score(item) = <query, vector of the item> + added(item) + weight * value(item)

The first part is searched in the index, `added` is given for few items (neighbours and repeats), and `value` is the
same for all users (popularity), sorted once. Candidates are the best of each; an item that is no candidate scores at
most the last candidate of the index plus the last by value. While the n-th best candidate is not above that bound, more
are taken (the threshold algorithm of Fagin, Lotem and Naor, 2003). Shapes: N items of the catalogue, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.recommendation.added_scores import AddedScores
from core.recommendation.rankers import Ranking
from core.recommendation.requests import RankingSource
from core.recommendation.snapshot import BoundModel

FIRST = 64  # candidates of each part at the first try
GROWTH = 4
ROUNDING = 1e-5  # the index and numpy round the same product differently, relative to the score


@dataclass(frozen=True, slots=True)
class ItemValues:
    """A value for every item: (N,) `values` by catalogue row, finite, and all rows by descending value."""

    values: FloatArray
    descending: IntArray

    @classmethod
    def of(cls, values: FloatArray) -> ItemValues:
        """Sorted; equal values by row."""
        return cls(values, np.argsort(-values, kind="stable"))

    def best(self, n: int, allowed: BoolArray) -> IntArray:
        """The first n allowed rows by value; the scan stops as soon as it has them."""
        found: list[IntArray] = []
        missing, begin, step = n, 0, 4 * n
        while missing > 0 and begin < len(self.descending):
            rows = self.descending[begin : begin + step]
            found.append(rows[allowed[rows]][:missing])
            missing, begin, step = missing - len(found[-1]), begin + step, step * GROWTH
        return np.concatenate(found) if found else np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class BlendedRanker:
    """Ranks by the sum of the parts. `query`: (D,), already weighted; `weight`: of the values, 0 or more."""

    model: BoundModel
    query: FloatArray
    added: AddedScores
    values: ItemValues
    weight: float
    reason: str
    source: RankingSource = "model"

    @property
    def version(self) -> str | None:
        """The model's version."""
        return self.model.version

    def ranking(self, allowed: BoolArray) -> Ranking:
        """Highest scores first, equal ones by row."""
        num_allowed = int(np.count_nonzero(allowed))
        own = self.added.among(allowed)

        def rank(n: int) -> tuple[IntArray, FloatArray]:
            num_candidates = max(FIRST, 2 * n)
            while True:
                rows, bound = self._candidates(num_candidates, allowed, own)
                if len(rows) < n and num_candidates < num_allowed:
                    num_candidates *= GROWTH
                    continue
                scores = self.scores(rows)
                order = np.lexsort((rows, -scores))[:n]
                complete = num_candidates >= num_allowed
                if complete or (len(order) == n and scores[order[-1]] > bound):
                    return rows[order], scores[order]
                num_candidates *= GROWTH

        return rank

    def _candidates(self, num: int, allowed: BoolArray, own: IntArray) -> tuple[IntArray, float]:
        """The candidates and the highest score that any other allowed item can have."""
        near, products = self.model.index.search(self.query, num, allowed=allowed)
        valued = self.values.best(num, allowed)
        rows = np.unique(np.concatenate([near, valued, own]))
        if not len(near) or not len(valued):
            return rows, np.inf
        bound = float(products[-1]) + self.weight * float(self.values.values[valued[-1]])
        return rows, bound + ROUNDING * (1 + abs(float(products[-1])))

    def scores(self, rows: IntArray) -> FloatArray:
        """(N,) the sums of the parts."""
        products = self.model.encoder.items(rows) @ self.query
        scores: FloatArray = products + self.added.at(rows) + np.float32(self.weight) * self.values.values[rows]
        return scores
