"""Counting and sampling for drift monitoring, in the transaction that stores the events.

Counts are kept per bucket of event time and writer, one row each, so that a batch costs one read and one write however
many topics it touches. The sample is limited in events per minute; the monitor scores it later, also after a crash.
Independent of models and detectors.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import attrgetter

from core.clock import DAY_MS
from core.drift.segments import EventSegments
from core.ports.store import Transaction
from core.records.drift import BUCKET_MS, GAP_EDGES_S, BucketCounts, ItemFacts, SampledEvent
from core.records.stored import EventRow, UserState
from core.topics import NO_TOPIC

NEW_ITEM_MS = 7 * DAY_MS
MAX_FACTS = 200_000  # items whose topics are cached: about 20 MB
_GAP_EDGES_MS = tuple(edge * 1000 for edge in GAP_EDGES_S)
_event_key = attrgetter("event_key")


class DriftSampler:
    """Counts and samples the batches of one process. Used by one thread."""

    def __init__(
        self,
        *,
        window_codes: Collection[int],
        samples_per_minute: float,
        segments: EventSegments | None = None,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._window_codes = window_codes
        self._segments = segments or EventSegments()
        self._per_s = samples_per_minute / 60
        self._burst = max(1.0, samples_per_minute)
        self._seconds = seconds
        self._budget = self._burst
        self._filled_s = seconds()
        self._facts: dict[int, ItemFacts] = {}

    def note(
        self, tx: Transaction, writer_key: int, rows: Sequence[EventRow], before: Iterable[UserState], *, live: bool
    ) -> None:
        """Count new events and, if `live`, store a sample; `before`: their users' states before the batch."""
        states = {state.key: state for state in before}
        facts = self._facts_of(tx, {row.item_key for row in rows})
        tx.drift.add_counts(writer_key, self._count(rows, states, facts))
        chosen = self._choose(rows, states) if live else []
        if chosen:
            tx.drift.add_samples(chosen)

    def _count(
        self, rows: Sequence[EventRow], states: Mapping[int, UserState], facts: Mapping[int, ItemFacts]
    ) -> dict[int, BucketCounts]:
        return count(rows, states, facts, window_codes=self._window_codes, segments=self._segments)

    def _facts_of(self, tx: Transaction, item_keys: Collection[int]) -> Mapping[int, ItemFacts]:
        """From the cache; items without a topic are read again, because they can get one later."""
        if len(self._facts) > MAX_FACTS:
            self._facts.clear()
        unknown = [key for key in item_keys if key not in self._facts]
        if not unknown:
            return self._facts
        read = tx.drift.item_facts(sorted(unknown))
        self._facts.update((key, facts) for key, facts in read.items() if facts.topic != NO_TOPIC)
        return {key: read.get(key) or self._facts[key] for key in item_keys}

    def _choose(self, rows: Sequence[EventRow], states: Mapping[int, UserState]) -> list[SampledEvent]:
        """A sample within the budget: the lowest event keys (hashes), at most one event per user."""
        now_s = self._seconds()
        self._budget = min(self._burst, self._budget + (now_s - self._filled_s) * self._per_s)
        self._filled_s = now_s
        chosen: dict[int, SampledEvent] = {}
        if self._budget < 1:
            return []
        for row in sorted(rows, key=_event_key):
            if row.type_code in self._window_codes and states[row.user_key].window.num_events:
                chosen.setdefault(row.user_key, SampledEvent(row.event_key, row.user_key, row.time_ms))
                if len(chosen) >= int(self._budget):
                    break
        self._budget -= len(chosen)
        return list(chosen.values())


def count(
    rows: Sequence[EventRow],
    before: Mapping[int, UserState],
    facts: Mapping[int, ItemFacts],
    *,
    window_codes: Collection[int],
    segments: EventSegments,
) -> dict[int, BucketCounts]:
    """The counts of new events by bucket; `before`: the states of their users before them."""
    by_bucket: dict[int, BucketCounts] = {}
    last_ms: dict[int, int | None] = {key: state.window.last_time_ms for key, state in before.items()}
    new_users = {key for key, state in before.items() if state.seq == 0}
    for row in sorted(rows, key=attrgetter("time_ms")):
        start_ms = row.time_ms // BUCKET_MS * BUCKET_MS
        counts = by_bucket.get(start_ms) or by_bucket.setdefault(start_ms, BucketCounts())
        counts.num_events += 1
        topic, created_ms = facts[row.item_key]
        counts.topics[topic] += 1
        for name in segments.of(row):
            counts.segments.setdefault(name, Counter())[topic] += 1
        if created_ms is not None and 0 <= row.time_ms - created_ms < NEW_ITEM_MS:
            counts.num_new_items += 1
        if row.user_key in new_users:
            new_users.discard(row.user_key)
            counts.num_new_users += 1
        if row.type_code in window_codes:
            previous_ms = last_ms[row.user_key]
            if previous_ms is not None and row.time_ms >= previous_ms:
                counts.gaps[bisect_right(_GAP_EDGES_MS, row.time_ms - previous_ms)] += 1
            last_ms[row.user_key] = row.time_ms if previous_ms is None else max(row.time_ms, previous_ms)
    return by_bucket
