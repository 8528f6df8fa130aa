"""Rankers: order catalogue rows by model score, similarity, popularity or recency.

Independent of users, stores and requests: a ranker reads vectors and a mask of allowed rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.catalogue.items import ItemName
from core.recommendation.ranking.added_scores import NOTHING_ADDED, AddedScores
from core.recommendation.requests import ItemReason, RankingSource
from core.recommendation.snapshots.bound_model import BoundModel
from core.recommendation.snapshots.item_indexes import unit
from core.recommendation.snapshots.snapshot import ServingSnapshot

ItemLookup = Callable[[Sequence[int]], Mapping[int, ItemName]]  # item keys -> the names of known items
Ranking = Callable[[int], tuple[IntArray, FloatArray]]  # n -> the best n (rows, scores), best first


class Ranker(Protocol):
    """Ranks catalogue rows, and says how."""

    @property
    def source(self) -> RankingSource:
        """The source named in the result."""
        ...

    @property
    def reason(self) -> str:
        """Why this source is used."""
        ...

    @property
    def version(self) -> str | None:
        """The model version, if a model is used."""
        ...

    def ranking(self, allowed: BoolArray) -> Ranking:
        """A ranking of the allowed rows."""
        ...

    def reasons(self, rows: IntArray, items: ItemLookup) -> Sequence[ItemReason | None]:
        """Why each row is in the answer; None where the source is the reason. `items`: finds the names in reasons."""
        ...

    def scores(self, rows: IntArray) -> FloatArray:
        """(N,) the scores of these rows."""
        ...


class _OnePart:
    """A ranker whose scores have one part only, so that its source is the reason for every item."""

    __slots__ = ()

    def reasons(self, rows: IntArray, items: ItemLookup) -> Sequence[ItemReason | None]:
        """None for each row."""
        return [None] * len(rows)


@dataclass(frozen=True, slots=True)
class ModelRanker(_OnePart):
    """Ranks by the inner product of item vectors and a (D,) query, plus the repeat scores of the history's items."""

    model: BoundModel
    query: FloatArray
    reason: str
    repeats: AddedScores = NOTHING_ADDED
    source: RankingSource = "model"

    @property
    def version(self) -> str | None:
        """The model's version."""
        return self.model.version

    def ranking(self, allowed: BoolArray) -> Ranking:
        """Highest scores first; the allowed items of the history are merged into the index's results."""
        own = self.repeats.among(allowed)
        if not len(own):
            return lambda n: self.model.index.search(self.query, n, allowed=allowed)
        others, own_scores = allowed.copy(), self.scores(own)
        others[own] = False

        def rank(n: int) -> tuple[IntArray, FloatArray]:
            rows, scores = self.model.index.search(self.query, n, allowed=others)
            rows, scores = np.append(rows, own), np.append(scores, own_scores)
            order = np.lexsort((rows, -scores))[:n]
            return rows[order], scores[order]

        return rank

    def scores(self, rows: IntArray) -> FloatArray:
        """(N,) inner products plus repeat scores."""
        scores: FloatArray = self.model.encoder.items(rows) @ self.query + self.repeats.at(rows)
        return scores


@dataclass(frozen=True, slots=True)
class SimilarityRanker(_OnePart):
    """Ranks by the cosine similarity to the item in `row`."""

    model: BoundModel
    row: int
    reason: str = "nearest item vectors"
    source: RankingSource = "similarity"

    @property
    def version(self) -> str | None:
        """The model's version."""
        return self.model.version

    def ranking(self, allowed: BoolArray) -> Ranking:
        """Most similar first."""
        vector = unit(self.model.encoder.items(np.array([self.row])))[0]
        return lambda n: self.model.similar.search(vector, n, allowed=allowed)

    def scores(self, rows: IntArray) -> FloatArray:
        """(N,) cosines."""
        vectors = unit(self.model.encoder.items(np.append(rows, self.row)))
        cosines: FloatArray = vectors[:-1] @ vectors[-1]
        return cosines


@dataclass(frozen=True, slots=True)
class PopularityRanker(_OnePart):
    """Ranks by time-decayed popularity; items without events come last, newest first."""

    snapshot: ServingSnapshot
    reason: str
    categories: Sequence[str] = ()  # if any, only items in one of them
    source: RankingSource = "popularity"
    version: str | None = None

    def ranking(self, allowed: BoolArray) -> Ranking:
        """Most popular first."""
        if self.categories:
            inside = np.zeros(len(allowed), np.bool_)
            for name in self.categories:
                inside[self.snapshot.catalogue.category_rows.get(name, [])] = True
            allowed = allowed & inside
        rows = _newest_first(self.snapshot, allowed)
        scores = self.snapshot.popularity[rows]
        order = np.argsort(-scores, kind="stable")

        def rank(n: int) -> tuple[IntArray, FloatArray]:
            return rows[order[:n]], scores[order[:n]].astype(np.float32)

        return rank

    def scores(self, rows: IntArray) -> FloatArray:
        """(N,) decayed log2 counts."""
        return self.snapshot.popularity[rows].astype(np.float32)


@dataclass(frozen=True, slots=True)
class RecencyRanker(_OnePart):
    """Ranks by the time an item was first seen, newest first; has no scores."""

    snapshot: ServingSnapshot
    reason: str = "the newest items of the catalogue"
    source: RankingSource = "latest"
    version: str | None = None

    def ranking(self, allowed: BoolArray) -> Ranking:
        """Newest first."""
        rows = _newest_first(self.snapshot, allowed)
        return lambda n: (rows[:n], self.scores(rows[:n]))

    def scores(self, rows: IntArray) -> FloatArray:
        """(N,) -inf: no score."""
        return np.full(len(rows), -np.inf, np.float32)


def _newest_first(snapshot: ServingSnapshot, allowed: BoolArray) -> IntArray:
    rows = snapshot.catalogue.newest_first
    return rows[allowed[rows]]
