"""Candidates: the best items of a ranking for the next position of an answer; more are taken while all are blocked.

Shapes: C candidates, D width of a vector, N items of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.scenarios.boosts import Ranking

GROWTH = 4
UnitVectors = Callable[[IntArray], FloatArray]  # (C,) rows -> (C, D) vectors of length 1


class Candidates:
    """The best `depth` items of a ranking, or more."""

    def __init__(self, rank: Ranking, *, depth: int) -> None:
        """`rank`: returns fewer than requested only if there are no more."""
        self._rank = rank
        self._blocked: BoolArray | None = None  # of the page that is being filled
        self._take(depth)

    def best(self, blocked: BoolArray) -> int | None:
        """The row of the next item; None if all are blocked. `blocked`: (N,) the rows that cannot follow."""
        if blocked is not self._blocked:
            self._blocked, self._begin = blocked, 0  # on a new page caps count anew
        while True:
            place = self._choice(blocked)
            if place is not None:
                return self._row_list[place]
            if len(self.rows) < self._depth:
                return None
            self._take(self._depth * GROWTH)

    def place(self, row: int) -> None:
        """An item is in the answer."""

    def _take(self, depth: int) -> None:
        self._depth = depth
        self.rows, self.scores = self._rank(depth)
        self._row_list: list[int] = self.rows.tolist()
        self._begin = 0

    def _choice(self, blocked: BoolArray) -> int | None:
        """Which candidate that is not blocked is next: rows stay blocked until the page is full."""
        while self._begin < len(self._row_list) and blocked[self._row_list[self._begin]]:
            self._begin += 1
        return self._begin if self._begin < len(self._row_list) else None


class DiverseCandidates(Candidates):
    """By maximal marginal relevance: weight * relevance - (1 - weight) * similarity to the most similar item placed.

    Relevance is the score, scaled to 1 for the best of the first candidates and 0 for the last, or the place where
    items have no score. Similarity is the cosine of item vectors, at least 0.
    """

    def __init__(self, rank: Ranking, *, depth: int, weight: float, vectors: UnitVectors) -> None:
        self._weight = weight
        self._vectors = vectors
        self._placed: list[int] = []
        self._similarities: FloatArray  # (C,) of each candidate to the most similar item placed
        self._scale: tuple[float, float] | None = None  # the best and the last score
        super().__init__(rank, depth=depth)

    def place(self, row: int) -> None:
        """An item is in the answer: what is similar to it comes later."""
        self._placed.append(row)
        self._similarities = np.maximum(self._similarities, self._to(np.array([row])))

    def _take(self, depth: int) -> None:
        super()._take(depth)
        self._unit = self._vectors(self.rows)
        self._similarities = self._to(np.array(self._placed, np.int64))
        self._relevance = self._scaled()

    def _scaled(self) -> FloatArray:
        if not len(self.rows) or not np.isfinite(self.scores).all():
            return np.linspace(1, 0, len(self.rows), dtype=np.float32)
        if self._scale is None and self.scores[0] > self.scores[-1]:
            self._scale = float(self.scores[0]), float(self.scores[-1])
        best, last = self._scale or (1.0, 0.0)
        return np.asarray((self.scores - last) / (best - last), np.float32)

    def _to(self, rows: IntArray) -> FloatArray:
        """(C,) the highest cosine of each candidate to one of these rows, 0 without any."""
        cosines: FloatArray = self._unit @ self._vectors(rows).T
        highest: FloatArray = cosines.max(axis=1, initial=0.0)
        return highest

    def _choice(self, blocked: BoolArray) -> int | None:
        free = np.flatnonzero(~blocked[self.rows])
        if not len(free):
            return None
        values = self._weight * self._relevance[free] - (1 - self._weight) * self._similarities[free]
        return int(free[np.argmax(values)])
