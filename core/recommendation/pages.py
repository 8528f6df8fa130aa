"""Pages: the items of an answer, and those of the next pages, which are chosen together with the first.

Shapes: N items of the catalogue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from core.arrays import BoolArray, IntArray
from core.recommendation.ranking.rankers import Ranker
from core.recommendation.ranking.scenario_selection import ScenarioSelection
from core.recommendation.ranking.selection import Pick, allowed_rows, best, named, named_picks
from core.recommendation.requests import (
    MAX_LIST,
    ItemReason,
    RankedList,
    RecommendationRequest,
    RecommendationResult,
    RestOfList,
    ScoredItem,
)
from core.recommendation.snapshots.current_items import CurrentItems
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.records.outcomes import new_recommendation_id
from core.records.stored import UserState
from core.scenarios.pools import RandomSource


class Selected(NamedTuple):
    """The items of an answer, and what its next pages show."""

    items: tuple[ScoredItem, ...]
    rest: RestOfList | None = None


def select(
    request: RecommendationRequest,
    items: CurrentItems,
    snapshot: ServingSnapshot,
    ranker: Ranker,
    *,
    hidden: IntArray,
    random: RandomSource,
    among: BoolArray | None = None,
) -> Selected:
    """The items of an answer. `hidden`: keys of items to leave out; `among`: (N,) the rows to rank; pins ignore it."""
    allowed, n = allowed_rows(snapshot.catalogue, request, hidden, items.now_ms), request.n
    num = max(n, MAX_LIST) if request.pages_of else n
    if request.scenario is not None:
        selection = ScenarioSelection(request.scenario, items, snapshot, ranker, items.now_ms, random)
        picks = selection.picks(n, allowed, among, num=num)
        shown = named_picks(items, ranker, picks[:n], with_reasons=request.reasons)
        return Selected(shown, _rest(picks[n:], request, items, ranker))
    if among is not None:
        allowed &= among
    rows, scores = best(items, ranker.ranking(allowed), num)
    later = [Pick(row, 0.0) for row in rows[n:].tolist()]
    shown = named(items, ranker, rows[:n], scores[:n], with_reasons=request.reasons)
    return Selected(shown, _rest(later, request, items, ranker))


def _rest(
    picks: Sequence[Pick], request: RecommendationRequest, items: CurrentItems, ranker: Ranker
) -> RestOfList | None:
    if not picks:
        return None
    return RestOfList(
        subject=request.pages_of,
        start_ms=items.now_ms,
        source=ranker.source,
        reason=ranker.reason,
        model_version=ranker.version,
        scenario=request.scenario.name if request.scenario else "",
        arm=request.arm,
        exclude_seen=request.exclude_seen,
        keys=items.catalogue.keys[[pick.row for pick in picks]],
        kinds=tuple(pick.kind for pick in picks),
        propensities=np.array([pick.propensity for pick in picks], np.float32),
    )


def next_page(
    rest: RestOfList, request: RecommendationRequest, items: CurrentItems, *, hidden: IntArray, user: UserState | None
) -> RecommendationResult:
    """The next items of a list that can still be shown, without scores."""
    allowed = allowed_rows(items.catalogue, request, hidden, items.now_ms)
    rows = items.catalogue.rows(rest.keys)
    indices = np.flatnonzero((rows >= 0) & allowed[rows])
    indices = indices[items.listed(rows[indices])][: request.n]
    kinds = [rest.kinds[index] for index in indices.tolist()]
    page = tuple(
        ScoredItem(*items.name(row), None, ItemReason(kind) if kind else None, propensity=propensity)
        for row, kind, propensity in zip(
            rows[indices].tolist(), kinds, rest.propensities[indices].tolist(), strict=True
        )
    )
    later = rest.after(int(indices[-1]) + 1) if len(page) == request.n else None
    return RecommendationResult(
        new_recommendation_id(items.now_ms),
        RankedList(page, rest.source, rest.reason, rest.model_version, later),
        items.now_ms,
        user.seq if user else None,
        scenario=rest.scenario,
        arm=rest.arm,
        user_key=user.key if user else None,
    )
