"""The blended ranker: the best items of a sum of three parts over the whole catalogue, exactly.

    score(item) = <query, vector of the item> + added(item) + value(item)

In a small catalogue all items are scored. In a large one, the best items by the first part are found in the index,
`added` concerns a few items (neighbours and repeats), and `value` is the same for all users (popularity), sorted once.
Candidates are the best items by each part. Any other item scores at most what the last candidate of the index and the
last one by value add up to. While the n-th best candidate is not above that bound, more candidates are taken (the
threshold algorithm of Fagin, Lotem and Naor, 2003).
The result is exact relative to the order of the index: where the index is approximate, an item that it misses is missed
here too, unless it is a neighbour or popular. The index measures how many it misses (`ItemIndex.recall`).
Shapes: N items of the catalogue, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray, best_places, distinct
from core.catalogue.items import ItemName
from core.recommendation.ranking.added_scores import AddedScores
from core.recommendation.ranking.neighbour_scores import NeighbourScores
from core.recommendation.ranking.rankers import ItemLookup, Ranking
from core.recommendation.requests import ItemReason, RankingSource, ReasonKind
from core.recommendation.snapshots.bound_model import BoundModel
from core.recommendation.snapshots.item_values import ItemValues
from core.recommendation.snapshots.snapshot import ServingSnapshot

FIRST = 64  # candidates of the index in the first round
VALUED = 16  # for each of them, candidates by value: they are sorted already, and lower the bound at no cost
GROWTH = 4
PARTS: tuple[ReasonKind, ...] = ("history", "neighbour", "repeat", "popularity")
SMALLEST = float(np.finfo(np.float32).tiny)  # instead of a sum of 0
ROUNDING = 1e-5  # the index and numpy round the same product differently, relative to the score


@dataclass(frozen=True, slots=True)
class BlendedRanker:
    """Ranks by the sum of the parts. `query`: (D,), already weighted, as `repeats` are; None without a model.

    The snapshot has `values`. `products`: (N,) of the query and all items of a small catalogue, if computed already.
    """

    snapshot: ServingSnapshot
    model: BoundModel | None
    query: FloatArray | None
    repeats: AddedScores
    neighbours: NeighbourScores
    reason: str
    products: FloatArray | None = None

    @property
    def source(self) -> RankingSource:
        """The model, or counts alone."""
        return "counts" if self.model is None else "model"

    @property
    def version(self) -> str | None:
        """The model's version."""
        return None if self.model is None else self.model.version

    @property
    def scanned(self) -> FloatArray | None:
        """(N, D) the vectors of a catalogue so small that all items are scored."""
        return None if self.model is None else self.model.vectors

    @property
    def values(self) -> ItemValues:
        """The scores that are the same for all users."""
        assert self.snapshot.values is not None
        return self.snapshot.values

    @property
    def added(self) -> AddedScores:
        """The scores that only a few items have."""
        return self.neighbours.added.plus(self.repeats)

    def ranking(self, allowed: BoolArray) -> Ranking:
        """Highest scores first, equal ones by row."""
        return self._search(allowed) if self.scanned is None else self._scan(self.scanned, allowed)

    def _scan(self, vectors: FloatArray, allowed: BoolArray) -> Ranking:
        """By the scores of all items."""
        assert self.query is not None
        products_N = vectors @ self.query if self.products is None else self.products
        scores_N: FloatArray = products_N + self.values.values
        added = self.added
        scores_N[added.rows] += added.added
        scores_N[~allowed] = -np.inf

        def rank(n: int) -> tuple[IntArray, FloatArray]:
            rows = best_places(scores_N, n)
            rows = rows[allowed[rows]]
            return rows, scores_N[rows]

        return rank

    def _search(self, allowed: BoolArray) -> Ranking:
        """By the threshold algorithm."""
        added = self.added
        own = added.among(allowed)

        def rank(n: int) -> tuple[IntArray, FloatArray]:
            num_candidates = max(FIRST, 2 * n)
            while True:
                rows, bound = self._candidates(num_candidates, allowed, own)
                scores = self._scores(rows, added)
                order = best_places(scores, n)
                is_certain = len(order) == n and scores[order[-1]] > bound
                if is_certain or num_candidates >= np.count_nonzero(allowed):
                    return rows[order], scores[order]
                num_candidates *= GROWTH

        return rank

    def _candidates(self, num: int, allowed: BoolArray, own: IntArray) -> tuple[IntArray, float]:
        """The candidates and the highest score that any other allowed item can have."""
        valued = self.values.best(VALUED * num, allowed)
        bound = float(self.values.values[valued[-1]]) if len(valued) else np.inf
        if self.model is None or self.query is None:
            return distinct(np.concatenate([valued, own])), bound
        near, products = self.model.index.search(self.query, num, allowed=allowed)
        rows = distinct(np.concatenate([near, valued, own]))
        if not len(near):
            return rows, np.inf
        return rows, bound + float(products[-1]) + ROUNDING * (1 + abs(float(products[-1])))

    def scores(self, rows: IntArray) -> FloatArray:
        """(N,) the sums of the parts."""
        return self._scores(rows, self.added)

    def reasons(self, rows: IntArray, items: ItemLookup) -> list[ItemReason | None]:
        """For each row the part of its score that exceeds a mean item's most, and the shares of all parts."""
        parts = self._parts(rows)
        order = np.argsort(-parts, axis=0, kind="stable")
        positive = np.maximum(parts, 0)
        shares = positive / np.maximum(positive.sum(axis=0), SMALLEST)
        near = order[0] == PARTS.index("neighbour")
        sources = np.full(len(rows), -1)
        if near.any():
            sources[near] = self.neighbours.sources(self.snapshot.catalogue.keys[rows[near]])
        known = set(sources.tolist()) - {-1}
        named = items(sorted(known)) if known else {}
        columns = zip(order.T.tolist(), shares.T.tolist(), sources.tolist(), strict=True)
        return [_reason(ranked, own, named.get(source)) for ranked, own, source in columns]

    def _parts(self, rows: IntArray) -> FloatArray:
        """(4, N) by how much each of `PARTS` exceeds that of a mean item."""
        mean_product = 0.0 if self.model is None or self.query is None else float(self.model.mean @ self.query)
        products, values = self._products(rows) - mean_product, self.values.values[rows] - self.values.mean
        return np.stack([products, self.neighbours.added.at(rows), self.repeats.at(rows), values])

    def _scores(self, rows: IntArray, added: AddedScores) -> FloatArray:
        scores: FloatArray = self._products(rows) + added.at(rows) + self.values.values[rows]
        return scores

    def _products(self, rows: IntArray) -> FloatArray:
        """(N,) the encoder's part, 0 without a model."""
        if self.model is None or self.query is None:
            return np.zeros(len(rows), np.float32)
        products: FloatArray = self.model.encoder.items(rows) @ self.query
        return products


def _reason(ranked: Sequence[int], shares: Sequence[float], source: ItemName | None) -> ItemReason:
    """`ranked`: indices into `PARTS`, the largest part first, which has the whole share where none is positive."""
    kind = PARTS[ranked[0]]
    named = tuple([(PARTS[index], shares[index]) for index in ranked if shares[index] > 0]) or ((kind, 1.0),)
    if source is None:
        return ItemReason(kind, shares=named)
    return ItemReason(kind, source.item_id, source.title, named)
