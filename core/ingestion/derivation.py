"""The state that follows from stored events: windows, popularity, event counts and drift counts, by pure functions.

Ingest keeps this state current, `rebuild` computes it anew, and corrections take parts of it back. Rows are events in
history order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.drift.counting import count
from core.drift.segments import EventSegments
from core.events.history import History, Window, WindowShape, windows_of
from core.events.interactions import EventTypes
from core.popularity import DEFAULT_HALF_LIFE_MS, decayed_log2
from core.records.drift import BUCKET_MS, BucketCounts, ItemFacts
from core.records.stored import EventRow, UserState


@dataclass(frozen=True, slots=True)
class Derivation:
    """An installation's rules: event types, window, the half-life of popularity in ms, and segments of events."""

    types: EventTypes
    shape: WindowShape
    half_life_ms: float = DEFAULT_HALF_LIFE_MS
    segments: EventSegments = field(default_factory=EventSegments, compare=False)

    @property
    def window_codes(self) -> tuple[int, ...]:
        """The codes of the types in windows."""
        return self.types.flagged("window")

    def history(self, rows: Sequence[EventRow]) -> History:
        """The windowed events of one user."""
        codes = self.window_codes
        windowed = [row for row in rows if row.type_code in codes]
        items = np.array([row.item_key for row in windowed], np.int64)
        return History(items, np.array([row.time_ms for row in windowed], np.int64))

    def window(self, history: History) -> Window:
        """The window of a complete history."""
        return windows_of(history.items, history.times_ms, self.shape)

    def popularity(self, rows: Sequence[EventRow]) -> dict[int, float]:
        """The decayed log2 counts of items, by item key."""
        weights = [self.types.weight(row.type_code, row.value) for row in rows]
        counted = [(row.item_key, row.time_ms, weight) for row, weight in zip(rows, weights, strict=True) if weight > 0]
        keys, times_ms, row_weights = zip(*counted, strict=True) if counted else ((), (), ())
        return decayed_log2(keys, times_ms, row_weights, half_life_ms=self.half_life_ms)

    def drift_counts(self, rows: Sequence[EventRow], facts: Mapping[int, ItemFacts]) -> dict[int, BucketCounts]:
        """The drift counts by bucket of complete histories of users."""
        new_users = {key: UserState(key) for key in {row.user_key for row in rows}}
        return count(rows, new_users, facts, window_codes=self.window_codes, segments=self.segments)


def event_counts(rows: Sequence[EventRow]) -> Counter[tuple[int, int]]:
    """How many events there are, by bucket start (ms) and type code."""
    return Counter([(row.time_ms // BUCKET_MS * BUCKET_MS, row.type_code) for row in rows])
