"""Ranking: orders over the rows of a snapshot's catalogue, by a model's query, by likeness, popularity or age.

Knows nothing about users, stores or requests: it gets vectors and a mask of allowed rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.recommendation.repeat_scores import NOTHING, RepeatScores
from core.recommendation.requests import AnswerSource
from core.recommendation.snapshot import BoundModel, ServingSnapshot, unit

Ranking = Callable[[int], tuple[IntArray, FloatArray]]  # n -> the best n (rows, scores), best first


class Ranker(Protocol):
    """What an answer is ranked by, and the words that say so."""

    @property
    def source(self) -> AnswerSource:
        """Named in the answer."""
        ...

    @property
    def reason(self) -> str:
        """Why this source, in words."""
        ...

    @property
    def version(self) -> str | None:
        """The model version behind it, if any."""
        ...

    def ranking(self, allowed: BoolArray) -> Ranking:
        """An order over the allowed rows."""
        ...

    def scores(self, rows: IntArray) -> FloatArray:
        """The scores of given rows."""
        ...


@dataclass(frozen=True, slots=True)
class ModelRanker:
    """By the inner product of item vectors with a (D,) query, and what the history adds to its own items."""

    model: BoundModel
    query: FloatArray
    reason: str
    repeated: RepeatScores = NOTHING
    source: AnswerSource = "model"

    @property
    def version(self) -> str | None:
        """The model's version."""
        return self.model.version

    def ranking(self, allowed: BoolArray) -> Ranking:
        """Nearest items first; the history's own, where they are allowed, find their places among them."""
        own = self.repeated.among(allowed)
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
        """(N,) inner products, with what is added."""
        scores: FloatArray = self.model.encoder.items(rows) @ self.query + self.repeated.at(rows)
        return scores


@dataclass(frozen=True, slots=True)
class SimilarityRanker:
    """By the cosine of item vectors with that of the item in `row`."""

    model: BoundModel
    row: int
    reason: str = "nearest item vectors"
    source: AnswerSource = "similarity"

    @property
    def version(self) -> str | None:
        """The model's version."""
        return self.model.version

    def ranking(self, allowed: BoolArray) -> Ranking:
        """Most alike first."""
        vector = unit(self.model.encoder.items(np.array([self.row])))[0]
        return lambda n: self.model.similar.search(vector, n, allowed=allowed)

    def scores(self, rows: IntArray) -> FloatArray:
        """(N,) cosines."""
        vectors = unit(self.model.encoder.items(np.append(rows, self.row)))
        cosines: FloatArray = vectors[:-1] @ vectors[-1]
        return cosines


@dataclass(frozen=True, slots=True)
class PopularityRanker:
    """By time-decayed popularity; what has none yet comes last, newest first."""

    snapshot: ServingSnapshot
    reason: str
    categories: Sequence[str] = ()  # where given, only items that share one of them
    source: AnswerSource = "popularity"
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
class RecencyRanker:
    """What was first heard of last comes first. There is nothing to score."""

    snapshot: ServingSnapshot
    reason: str = "the newest items of the catalogue"
    source: AnswerSource = "latest"
    version: str | None = None

    def ranking(self, allowed: BoolArray) -> Ranking:
        """Newest first."""
        rows = _newest_first(self.snapshot, allowed)
        return lambda n: (rows[:n], self.scores(rows[:n]))

    def scores(self, rows: IntArray) -> FloatArray:
        """(N,) none."""
        return np.full(len(rows), -np.inf, np.float32)


def _newest_first(snapshot: ServingSnapshot, allowed: BoolArray) -> IntArray:
    rows = snapshot.catalogue.newest_first
    return rows[allowed[rows]]
