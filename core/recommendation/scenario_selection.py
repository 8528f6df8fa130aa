"""Selection under a scenario: which items, boosted by how much, fill the positions of an answer, and why.

The pure part is in `core.scenarios`; here it meets the snapshot, the ranker and the items of the moment.
Shapes: N items of the catalogue, R rows of a result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import BoolArray, FloatArray, IntArray
from core.filters import matching
from core.recommendation.current_items import CurrentItems
from core.recommendation.item_indexes import unit
from core.recommendation.rankers import PopularityRanker, Ranker, Ranking, RecencyRanker
from core.recommendation.requests import ItemReason, RankingSource, ReasonKind, ScoredItem
from core.recommendation.selection import NUM_SPARE, best, named
from core.recommendation.snapshot import ServingSnapshot
from core.scenarios.boosts import added_by, boosted
from core.scenarios.candidates import Candidates, DiverseCandidates
from core.scenarios.caps import Caps
from core.scenarios.pools import Pools, RandomSource
from core.scenarios.scenario import Exploration, Pin, Scenario
from core.scenarios.slate import Slate, Slot

# The score of odds times e: model and counts score log odds, popularity log2 of counts; similar items are read as a
# softmax of cosines at temperature 0.1; the newest items have no score.
UNITS: Mapping[RankingSource, float] = {
    "model": 1.0,
    "counts": 1.0,
    "popularity": 1 / math.log(2),
    "similarity": 0.1,
    "latest": 0.0,
}
MMR_DEPTH = 5  # candidates for each item, among which relevance is weighed against similarity
MIN_MMR_DEPTH = 50
MAX_SCORED_PINS = 64  # items of a pin that are scored one by one; more are ranked


@dataclass(frozen=True, slots=True)
class ScenarioSelection:
    """One answer under a scenario. `now_ms`: by which the age of items is counted."""

    scenario: Scenario
    items: CurrentItems
    snapshot: ServingSnapshot
    ranker: Ranker
    now_ms: int
    random: RandomSource

    def of(self, n: int, allowed: BoolArray, among: BoolArray | None = None) -> tuple[ScoredItem, ...]:
        """The first n items. `allowed`: (N,) by the request; `among`: (N,) those that the ranking is about."""
        scenario, catalogue = self.scenario, self.snapshot.catalogue
        obeying = allowed & matching(catalogue, scenario.where) if scenario.where else allowed
        ranked = obeying if among is None else obeying & among
        if scenario.max_age_ms is not None:
            ranked = ranked & self._newer_than(scenario.max_age_ms)
        added = added_by(scenario.boosts, catalogue, unit=UNITS[self.ranker.source])
        rank = self.ranker.ranking(ranked) if added is None else boosted(self.ranker, ranked, added)
        candidates = self._candidates(rank, n)
        slate = Slate(
            candidates,
            Caps(catalogue, scenario.caps),
            num_rows=len(catalogue),
            pools=self._pools(scenario.exploration, candidates, ranked) if scenario.exploration else None,
            random=self.random,
            is_listed=lambda row: bool(self.items.listed(np.array([row]))[0]),
        )
        slots = slate.fill(n, self._pins(allowed))
        filled = self._named(slots, candidates, added, n)
        placed = np.array([slot.row for slot in slots], np.int64)
        return filled + self._filling(n - len(slots), obeying, placed)

    def _newer_than(self, age_ms: int) -> BoolArray:
        """(N,) the items first seen at most so long ago."""
        created_ms = self.snapshot.catalogue.created_ms
        if created_ms is None:
            return np.zeros(len(self.snapshot.catalogue), np.bool_)
        newer: BoolArray = created_ms >= self.now_ms - age_ms
        return newer

    def _candidates(self, rank: Ranking, n: int) -> Candidates:
        model, weight = self.snapshot.model, self.scenario.mmr
        depth = n + NUM_SPARE
        if self.scenario.exploration is not None:
            depth = max(depth, self.scenario.exploration.pool)
        if weight is None or weight == 1 or model is None:
            return Candidates(self._listed(rank), depth=depth)
        return DiverseCandidates(
            self._listed(rank),
            depth=max(depth, MMR_DEPTH * n, MIN_MMR_DEPTH),
            weight=weight,
            vectors=lambda rows: unit(model.encoder.items(rows)),
        )

    def _listed(self, rank: Ranking) -> Ranking:
        """The ranking of the items that are listed now."""
        return lambda depth: best(self.items, rank, depth)

    def _pools(self, rule: Exploration, candidates: Candidates, ranked: BoolArray) -> Pools:
        new = np.flatnonzero(ranked & self._newer_than(rule.new_ms)) if rule.new_share else np.empty(0, np.int64)
        return Pools(rule, candidates.rows[: rule.pool], new)

    def _pins(self, allowed: BoolArray) -> dict[int, int]:
        """The catalogue rows of the pins by position; a pin whose items can't be shown has none."""
        rows: dict[int, int] = {}
        for pin in self.scenario.pins:
            row = self._pinned(pin, allowed, list(rows.values()))
            if row is not None:
                rows[pin.position] = row
        return rows

    def _pinned(self, pin: Pin, allowed: BoolArray, placed: Sequence[int]) -> int | None:
        """The item with the highest score that satisfies a pin and is not placed yet."""
        matches = allowed & matching(self.snapshot.catalogue, pin.where)
        matches[placed] = False
        rows = np.flatnonzero(matches)
        if len(rows) > MAX_SCORED_PINS:
            rows, _ = best(self.items, self.ranker.ranking(matches), 1)
        elif len(rows):
            rows = rows[np.argsort(-self.ranker.scores(rows), kind="stable")]
            rows = rows[self.items.listed(rows)]
        return int(rows[0]) if len(rows) else None

    def _named(
        self, slots: Sequence[Slot], candidates: Candidates, added: FloatArray | None, n: int
    ) -> tuple[ScoredItem, ...]:
        rows = np.array([slot.row for slot in slots], np.int64)
        boosts = np.zeros(len(rows), np.float32) if added is None else added[rows]
        scores = self.ranker.scores(rows) + boosts
        lifted = np.zeros(len(rows), np.bool_) if added is None else self._lifted(scores, boosts, candidates, added, n)
        return tuple(
            replace(item, reason=_reason(slot, item.reason, is_lifted=is_lifted), propensity=slot.propensity)
            for slot, item, is_lifted in zip(
                slots, named(self.items, self.ranker, rows, scores), lifted.tolist(), strict=True
            )
        )

    def _lifted(
        self, scores: FloatArray, boosts: FloatArray, candidates: Candidates, added: FloatArray, n: int
    ) -> BoolArray:
        """(R,) whether an item would not be among the best n without its boost."""
        own = np.sort(candidates.scores - added[candidates.rows])[::-1]
        return (boosts > 0) & (scores - boosts < own[min(n, len(own)) - 1] if len(own) else False)

    def _filling(self, num: int, allowed: BoolArray, placed: IntArray) -> tuple[ScoredItem, ...]:
        """As many more items, by the fallback of the scenario."""
        if num <= 0 or self.scenario.fallback == "none":
            return ()
        free = allowed.copy()
        free[placed] = False
        is_popular = self.scenario.fallback == "popular"
        ranker = PopularityRanker(self.snapshot, "") if is_popular else RecencyRanker(self.snapshot)
        rows, scores = best(self.items, ranker.ranking(free), num)
        return tuple(
            replace(item, score=None, reason=ItemReason("fallback")) for item in named(self.items, ranker, rows, scores)
        )


def _reason(slot: Slot, reason: ItemReason | None, *, is_lifted: bool) -> ItemReason | None:
    """Why an item stands at its position: the scenario's reason before that of the ranking."""
    if slot.origin == "ranking":
        return ItemReason("boost") if is_lifted else reason
    kind: ReasonKind = slot.origin
    return ItemReason(kind)
