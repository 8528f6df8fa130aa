"""The state that follows from stored events: windows, popularity, event counts and drift counts, by pure functions.

Ingest keeps this state current, `rebuild` computes it anew, and corrections take parts of it back. Rows are events in
history order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.arrays import occurrences
from core.drift.counting import count
from core.drift.segments import EventSegments
from core.events.history import History, Window, WindowShape, windows_of
from core.events.interactions import EventTypes
from core.popularity import DEFAULT_HALF_LIFE_MS, decayed_log2
from core.records.drift import BUCKET_MS, BucketCounts, ItemFacts
from core.records.stored import MANY_EVENTS, EventRow, UserState, event_column


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
        weights = np.array([self.types.weight(row.type_code, row.value) for row in rows], np.float64)
        counts = weights > 0
        item_keys, times_ms = event_column(rows, "item_key")[counts], event_column(rows, "time_ms")[counts]
        return decayed_log2(item_keys, times_ms, weights[counts], half_life_ms=self.half_life_ms)

    def drift_counts(self, rows: Sequence[EventRow], facts: Mapping[int, ItemFacts]) -> dict[int, BucketCounts]:
        """The drift counts by bucket of complete histories of users."""
        new_users = {key: UserState(key) for key in {row.user_key for row in rows}}
        return count(rows, new_users, facts, window_codes=self.window_codes, segments=self.segments)


def event_counts(rows: Sequence[EventRow]) -> Counter[tuple[int, int]]:
    """How many events there are, by bucket start (ms) and type code."""
    if len(rows) >= MANY_EVENTS:
        starts_ms = event_column(rows, "time_ms") // BUCKET_MS * BUCKET_MS
        counted = occurrences(starts_ms, event_column(rows, "type_code"))
        return Counter({(start_ms, code): num for (start_ms, code), num in counted})
    return Counter([(row.time_ms // BUCKET_MS * BUCKET_MS, row.type_code) for row in rows])
