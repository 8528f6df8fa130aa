"""Selection under a scenario: which items, boosted by how much, fill the positions of an answer, and why.

The rules are in `core.scenarios`; here they are applied to a snapshot, a ranker and the current items.
Shapes: N items of the catalogue, R rows of a result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from core.arrays import BoolArray, FloatArray
from core.catalogue.filters import matching
from core.recommendation.ranking.rankers import PopularityRanker, Ranker, Ranking, RecencyRanker
from core.recommendation.ranking.selection import NUM_SPARE, Pick, best
from core.recommendation.requests import RankingSource, ReasonKind
from core.recommendation.snapshots.current_items import CurrentItems
from core.recommendation.snapshots.item_indexes import unit
from core.recommendation.snapshots.snapshot import ServingSnapshot
from core.scenarios.boosts import added_by, boosted
from core.scenarios.candidates import Candidates, DiverseCandidates
from core.scenarios.caps import Caps
from core.scenarios.pools import Pools, RandomSource
from core.scenarios.scenario import Exploration, Pin, Scenario
from core.scenarios.slate import Slate, Slot

# What multiplying the odds by e adds to a score: model and counts score log odds, popularity log2 of counts; cosines
# are taken as the logits of a softmax at temperature 0.1; the newest items have no score.
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
    """One answer under a scenario. `now_ms`: the time from which the age of items is counted."""

    scenario: Scenario
    items: CurrentItems
    snapshot: ServingSnapshot
    ranker: Ranker
    now_ms: int
    random: RandomSource

    def picks(self, n: int, allowed: BoolArray, among: BoolArray | None, *, num: int) -> list[Pick]:
        """The first `num` items, in pages of n; caps apply to each page by itself.

        `allowed`: (N,) the rows that the request allows; `among`: (N,) of these, what is ranked; pins ignore it.
        """
        scenario, catalogue = self.scenario, self.snapshot.catalogue
        obeying = allowed & matching(catalogue, scenario.where) if scenario.where else allowed
        ranked = obeying if among is None else obeying & among
        if scenario.max_age_ms is not None:
            ranked = ranked & self._newer_than(scenario.max_age_ms)
        added = added_by(scenario.boosts, catalogue, unit=UNITS[self.ranker.source])
        rank = self.ranker.ranking(ranked) if added is None else boosted(self.ranker, ranked, added)
        candidates = self._candidates(rank, n)
        pools = self._pools(scenario.exploration, candidates, ranked) if scenario.exploration else None
        pins = self._pins(allowed, num)
        placed = np.zeros(len(catalogue), np.bool_)
        placed[list(pins.values())] = True
        least = cache(lambda: self._least_score(ranked, num))
        picks: list[Pick] = []
        while len(picks) < num:
            size, start = min(n, num - len(picks)), len(picks)
            caps = Caps(catalogue, scenario.caps)
            slate = Slate(candidates, caps, placed, pools=pools, random=self.random, is_listed=self._is_listed)
            slots = slate.fill(size, {position - start: row for position, row in pins.items() if position > start})
            placed[[slot.row for slot in slots]] = True
            page = self._scored(slots, added, least)
            page += self._filling(size - len(page), obeying & ~placed)
            placed[[pick.row for pick in page]] = True
            picks += page
            if len(page) < size:
                break
        return picks

    def _is_listed(self, row: int) -> bool:
        return bool(self.items.listed(np.array([row]))[0])

    def _newer_than(self, age_ms: int) -> BoolArray:
        """(N,) the items first seen at most `age_ms` ago."""
        created_ms = self.snapshot.catalogue.created_ms
        if created_ms is None:
            return np.zeros(len(self.snapshot.catalogue), np.bool_)
        # Where an old log is replayed, items that were imported today are not new to its users.
        newer: BoolArray = (created_ms >= self.now_ms - age_ms) & (created_ms <= self.now_ms)
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
        draws_new = rule.new_share or rule.new_items
        new = np.flatnonzero(ranked & self._newer_than(rule.new_ms)) if draws_new else np.empty(0, np.int64)
        return Pools(rule, candidates.rows[: rule.pool], new)

    def _pins(self, allowed: BoolArray, num: int) -> dict[int, int]:
        """The catalogue row at each pinned position up to `num`; a pin without an item that can be shown is skipped."""
        rows: dict[int, int] = {}
        for pin in self.scenario.pins:
            row = self._pinned(pin, allowed, list(rows.values())) if pin.position <= num else None
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

    def _least_score(self, ranked: BoolArray, num: int) -> float:
        """The score of the last of `num` items in the ranking without boosts."""
        rows, scores = best(self.items, self.ranker.ranking(ranked), num)
        return float(scores[-1]) if len(rows) == num else -math.inf

    def _scored(self, slots: Sequence[Slot], added: FloatArray | None, least: Callable[[], float]) -> list[Pick]:
        """The items with their scores; below `least` without its boost, an item has its place by it.

        `least` ranks a second time, so it is asked only where a boosted item is shown.
        """
        rows = np.array([slot.row for slot in slots], np.int64)
        boosts = np.zeros(len(rows), np.float32) if added is None else added[rows]
        own = self.ranker.scores(rows)
        scores, lifted = own + boosts, boosts > 0
        if lifted.any():
            lifted &= own < least()
        return [
            Pick(slot.row, score, _kind(slot, is_lifted=is_lifted), slot.propensity)
            for slot, score, is_lifted in zip(slots, scores.tolist(), lifted.tolist(), strict=True)
        ]

    def _filling(self, num: int, free: BoolArray) -> list[Pick]:
        """So many more items, by the fallback of the scenario."""
        if num <= 0 or self.scenario.fallback == "none":
            return []
        is_popular = self.scenario.fallback == "popular"
        ranker = PopularityRanker(self.snapshot, "") if is_popular else RecencyRanker(self.snapshot)
        rows, _ = best(self.items, ranker.ranking(free), num)
        return [Pick(row, -math.inf, "fallback") for row in rows.tolist()]


def _kind(slot: Slot, *, is_lifted: bool) -> ReasonKind | None:
    if slot.origin != "ranking":
        return slot.origin
    return "boost" if is_lifted else None
