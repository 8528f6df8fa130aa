"""Counting and sampling for drift monitoring, in the transaction that stores the events.

Counts are kept per bucket of event time and writer, one row each, so that a batch costs one read and one write however
many topics it touches. The sample is limited in events per minute; the monitor scores it later, also after a crash.
Independent of models and detectors.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

from core.drift.counting_many import count_many
from core.drift.segments import EventSegments
from core.ports.store import Transaction
from core.records.drift import BUCKET_MS, GAP_EDGES_MS, NEW_ITEM_MS, BucketCounts, ItemFacts, SampledEvent
from core.records.stored import MANY_EVENTS, EventRow, UserState
from core.topics import NO_TOPIC

MAX_FACTS = 200_000  # items whose topics are cached: about 20 MB
_event_key = attrgetter("event_key")
PlacedEvent = tuple[EventRow, int, ItemFacts]  # with the start of its bucket


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
    counted = count_many if len(rows) >= MANY_EVENTS else count_few
    return counted(rows, before, facts, window_codes=window_codes, segments=segments)


def count_few(
    rows: Sequence[EventRow],
    before: Mapping[int, UserState],
    facts: Mapping[int, ItemFacts],
    *,
    window_codes: Collection[int],
    segments: EventSegments,
) -> dict[int, BucketCounts]:
    """`count` by rows."""
    ordered = sorted(rows, key=attrgetter("time_ms"))
    placed = [(row, row.time_ms // BUCKET_MS * BUCKET_MS, facts[row.item_key]) for row in ordered]
    by_bucket = {
        start_ms: BucketCounts(num_events=num)
        for start_ms, num in Counter([start_ms for _, start_ms, _ in placed]).items()
    }
    for (start_ms, topic), num in Counter([(start_ms, item.topic) for _, start_ms, item in placed]).items():
        by_bucket[start_ms].topics[topic] = num
    named = [(start_ms, name, item.topic) for row, start_ms, item in placed for name in segments.of(row)]
    for (start_ms, name, topic), num in Counter(named).items():
        by_bucket[start_ms].segments.setdefault(name, Counter())[topic] = num
    for (start_ms, gap), num in Counter(_gaps(placed, before, window_codes)).items():
        by_bucket[start_ms].gaps[gap] = num
    new_users = {key for key, state in before.items() if state.seq == 0}
    for row, start_ms, (_, created_ms) in placed:
        if created_ms is not None and 0 <= row.time_ms - created_ms < NEW_ITEM_MS:
            by_bucket[start_ms].num_new_items += 1
        if row.user_key in new_users:
            new_users.discard(row.user_key)
            by_bucket[start_ms].num_new_users += 1
    return by_bucket


def _gaps(
    placed: Iterable[PlacedEvent], before: Mapping[int, UserState], window_codes: Collection[int]
) -> Iterator[tuple[int, int]]:
    """The bucket, and the bin of the time since the user's previous event, of each windowed event that has one."""
    last_ms = {key: state.window.last_time_ms for key, state in before.items()}
    for row, start_ms, _ in placed:
        if row.type_code not in window_codes:
            continue
        time_ms, previous_ms = row.time_ms, last_ms[row.user_key]
        if previous_ms is None or time_ms >= previous_ms:
            last_ms[row.user_key] = time_ms
            if previous_ms is not None:
                yield start_ms, bisect_right(GAP_EDGES_MS, time_ms - previous_ms)
