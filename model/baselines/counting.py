"""Baselines that count: recent popularity, and what came next after the last item. Both learn from each event.

Shapes: B requests, N items.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.arrays import FloatArray, IntArray
from core.clock import DAY_MS
from core.evaluation.metrics import Array
from core.evaluation.scorers import Past, TrainingPart
from core.popularity import decayed_log2


class RecentPopularity:
    """Counts that halve with time: an event adds 2^(t / half-life), so that no sweep is needed; kept as log2."""

    def __init__(self, *, half_life_days: float) -> None:
        self._half_life_ms = half_life_days * DAY_MS

    def fit(self, part: TrainingPart) -> None:
        """Count all events."""
        events = part.training_events
        weights = np.ones(len(events))
        counts = decayed_log2(events.items, events.times_ms, weights, half_life_ms=self._half_life_ms)
        self._log2: Array = np.full(part.num_items, -np.inf)
        self._log2[list(counts)] = list(counts.values())

    def apply(self, user: int, item: int, time_ms: int) -> None:
        """Count one event."""
        self._log2[item] = np.logaddexp2(self._log2[item], time_ms / self._half_life_ms)

    @property
    def shares(self) -> FloatArray:
        """(N,) in the order of the counts, the highest 1, without a count 0."""
        behind = self._log2.max() - self._log2
        return np.asarray(1 / (1 + behind), np.float32)

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        """The same for every user."""
        return np.repeat(self.shares[None], len(pasts), axis=0)


class CoOccurrence:
    """How often each item came next after the user's last one; where that says nothing, recent popularity.

    `both_ways` also counts what came before.
    """

    def __init__(self, *, half_life_days: float, both_ways: bool = False) -> None:
        self._popularity = RecentPopularity(half_life_days=half_life_days)
        self._both_ways = both_ways

    def fit(self, part: TrainingPart) -> None:
        """Count all neighbours in time within each user."""
        self._popularity.fit(part)
        self._next: dict[int, dict[int, int]] = {}
        self._last: dict[int, int] = {}
        events = part.training_events
        for user, item in zip(events.users.tolist(), events.items.tolist(), strict=True):
            self._follow(user, item)

    def apply(self, user: int, item: int, time_ms: int) -> None:
        """Count one event."""
        self._popularity.apply(user, item, time_ms)
        self._follow(user, item)

    def _follow(self, user: int, item: int) -> None:
        last = self._last.get(user)
        self._last[user] = item
        if last is None:
            return
        pairs = ((last, item), (item, last)) if self._both_ways else ((last, item),)
        for first, second in pairs:
            counts = self._next.setdefault(first, {})
            counts[second] = counts.get(second, 0) + 1

    def scores(self, pasts: Sequence[Past]) -> FloatArray:
        """Counts after the last item; popularity, below 1, decides between equal ones."""
        scores_BN: FloatArray = np.repeat(self._popularity.shares[None] / np.float32(2), len(pasts), axis=0)
        for row, past in enumerate(pasts):
            counts = self._next.get(_last(past.history.items), {})
            scores_BN[row, list(counts)] += np.fromiter(counts.values(), np.float32, len(counts))
        return scores_BN


def _last(items: IntArray) -> int:
    return int(items[-1]) if len(items) else -1
