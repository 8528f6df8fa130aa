"""Boosts: what is added to the scores of a ranking, and the best items of the sum over the whole catalogue, exactly.

The items of one sum of boosts are ranked by themselves, which the ranking does exactly, and the groups are merged.
Shapes: N items of the catalogue, R rows of a result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.catalogue.filters import matching
from core.catalogue.items import Catalogue
from core.scenarios.scenario import Boost

Ranking = Callable[[int], tuple[IntArray, FloatArray]]  # n -> the best n (rows, scores), best first
MAX_GROUPS = 8  # above, scoring all allowed items is cheaper than ranking each group


class Scores(Protocol):
    """Ranks and scores catalogue rows: `core.recommendation.ranking.rankers.Ranker`."""

    def ranking(self, allowed: BoolArray) -> Ranking:
        """A ranking of the allowed rows."""
        ...

    def scores(self, rows: IntArray) -> FloatArray:
        """(R,) the scores of these rows."""
        ...


def added_by(boosts: Sequence[Boost], catalogue: Catalogue, *, unit: float) -> FloatArray | None:
    """(N,) what boosts add to each item's score; None if nothing. `unit`: the score of odds times e."""
    if not boosts or not unit:
        return None
    added = np.zeros(len(catalogue), np.float32)
    for boost in boosts:
        added[matching(catalogue, boost.where)] += np.float32(unit * math.log(boost.factor))
    return added if added.any() else None


def boosted(scores: Scores, allowed: BoolArray, added: FloatArray) -> Ranking:
    """The ranking of the allowed rows by score plus `added`: (N,) highest first, equal ones by row."""
    values = np.unique(added[allowed])
    if len(values) > MAX_GROUPS:
        rows = np.flatnonzero(allowed)
        return _sorted(rows, scores.scores(rows) + added[rows])
    groups = [scores.ranking(allowed & (added == value)) for value in values]

    def rank(n: int) -> tuple[IntArray, FloatArray]:
        parts = [group(n) for group in groups]
        rows = np.concatenate([part[0] for part in parts]) if parts else np.empty(0, np.int64)
        own = np.concatenate([part[1] for part in parts]) if parts else np.empty(0, np.float32)
        return _sorted(rows, own + added[rows])(n)

    return rank


def _sorted(rows: IntArray, scores: FloatArray) -> Ranking:
    """Items without a score come last, newest first."""
    order = np.lexsort((np.where(np.isfinite(scores), rows, -rows), -scores))
    return lambda n: (rows[order[:n]], scores[order[:n]])
