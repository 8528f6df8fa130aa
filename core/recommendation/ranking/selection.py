"""Selection: the best n items of a ranking that a request may get at this moment.

Shapes: N items of the catalogue, R rows of a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.catalogue.filters import matching
from core.catalogue.items import Catalogue, ItemName
from core.recommendation.ranking.rankers import Ranker, Ranking
from core.recommendation.requests import ItemReason, ReasonKind, RecommendationRequest, ScoredItem
from core.recommendation.snapshots.current_items import CurrentItems

NUM_SPARE = 8  # candidates beyond n, to replace those that the final check removes


class Pick(NamedTuple):
    """A chosen item: catalogue row, score, the kind of scenario rule that chose it if any, and its propensity."""

    row: int
    score: float
    kind: ReasonKind | None = None
    propensity: float = 1.0


def allowed_rows(catalogue: Catalogue, request: RecommendationRequest, hidden: IntArray, now_ms: int) -> BoolArray:
    """(N,) the catalogue rows that can be recommended. `hidden`: keys of the items that the user's events rule out."""
    listed = catalogue.listed_at(now_ms)
    if request.category is None:
        allowed = listed.copy()
    else:
        allowed = np.zeros(len(catalogue), np.bool_)
        inside = catalogue.category_rows.get(request.category, np.empty(0, np.int64))
        allowed[inside] = listed[inside]
    if request.where:
        allowed &= matching(catalogue, request.where)
    _exclude(allowed, catalogue.rows(hidden))
    _exclude(allowed, catalogue.rows_of_ids(request.exclude))
    return allowed


def best(items: CurrentItems, rank: Ranking, n: int) -> tuple[IntArray, FloatArray]:
    """(R,) the first n rows of a ranking that are listed now, and their scores."""
    num_candidates = n + NUM_SPARE
    while True:
        rows, scores = rank(num_candidates)
        listed = items.listed(rows)
        if np.count_nonzero(listed) >= n or len(rows) < num_candidates:
            return rows[listed][:n], scores[listed][:n]
        num_candidates *= 4


def named(
    items: CurrentItems, ranker: Ranker, rows: IntArray, scores: FloatArray, *, with_reasons: bool
) -> tuple[ScoredItem, ...]:
    """The items in (R,) rows with their names, and the ranker's reasons if wanted."""
    reasons = ranker.reasons(rows, items.names) if with_reasons else [None] * len(rows)
    return tuple(
        scored(items.name(row), score, reason)
        for row, score, reason in zip(rows.tolist(), scores.tolist(), reasons, strict=True)
    )


def named_picks(
    items: CurrentItems, ranker: Ranker, picks: Sequence[Pick], *, with_reasons: bool
) -> tuple[ScoredItem, ...]:
    """The chosen items with their names; the reason of a scenario takes precedence over that of the ranking."""
    rows = np.array([pick.row for pick in picks], np.int64)
    scores = np.array([pick.score for pick in picks], np.float32)
    ranked = named(items, ranker, rows, scores, with_reasons=with_reasons)
    return tuple(
        replace(item, reason=ItemReason(pick.kind) if pick.kind else item.reason, propensity=pick.propensity)
        for item, pick in zip(ranked, picks, strict=True)
    )


def scored(name: ItemName, score: float, reason: ItemReason | None = None) -> ScoredItem:
    """An item of an answer; a score that is not finite becomes None."""
    return ScoredItem(name.item_id, name.title, name.categories, score if np.isfinite(score) else None, reason)


def _exclude(allowed: BoolArray, rows: IntArray) -> None:
    allowed[rows[rows >= 0]] = False
